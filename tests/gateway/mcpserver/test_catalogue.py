"""What an agent can find and carry out, derived from the contract."""

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway import contract, openapi
from gateway.mcpserver import searchindex
from gateway.mcpserver.catalogue import Catalogue, Operation
from hum.contract.authorization import CallerKind, allowed_callers
from tests.support.examples import sample

BINDINGS = contract.bindings()
DOCUMENT = openapi.document(BINDINGS, "https://hum.example")
CATALOGUE = Catalogue(BINDINGS, DOCUMENT)

#: The changes that an agent makes without a confirmation.  A method whose name begins with a harmless verb comes here: decide whether
#: it is harmless, and if not, have the contract say why (`acts_outside`, its scope) or name it by what it does.
UNCONFIRMED = {
    "addCallNote", "addCallTag", "addCampaignRecipients", "addContactLink", "addOptOut", "closeConversation", "createCampaign", "createContact", "createFlow",
    "createKnowledge", "createSmsTemplate", "duplicateFlow", "markConversationRead", "pauseCampaign", "reopenConversation", "updateCallNote", "updateCampaign",
    "createBookableService", "createBookingResource", "createTimeOff", "createWait", "markAttended", "markNoShow", "updateBookableService",
    "updateBookingResource",
    "updateContact", "updateConversation", "updateFlow", "updateKnowledge", "updateSmsTemplate", "updateVoicemail",
}  # fmt: skip
#: Buying, sending, launching, deleting, revoking, provisioning, billing, access, secrets, where data goes: some of each.
CONFIRMED = {
    "buyNumber", "registerNumber", "releaseNumber", "updateNumber", "sendMessage", "placeCall", "testCall", "placeBrowserCall", "sayOnCall", "transferCall",
    "hangUpCall", "launchCampaign", "cancelCampaign", "deleteContact", "eraseContact", "deleteFlow", "revokeApiKey", "createApiKey",
    "createCheckout", "updateSubscription", "createInvite", "updateMember", "removeMember", "updateOrganization", "createWebhook",
    "updateWebhook", "rotateWebhookSecret", "replayWebhook", "createCrmConnector", "importContacts", "resolveMessage", "removeOptOut",
    "blockNumber", "createFlowTool", "addFlowMcpServer", "tryFlow", "proposeFlow",
}  # fmt: skip


def ids(operations: Any) -> set[str]:
    return {each.id for each in operations}


def operation(id: str) -> Operation:
    found = CATALOGUE.get(id)
    assert found is not None
    return found


def test_it_has_what_a_key_may_call_and_nothing_else() -> None:
    may_call = {each.method.name for each in BINDINGS if CallerKind.ADMIN_KEY in allowed_callers(each.method)}
    assert {each.binding.method.name for each in CATALOGUE} == may_call
    assert CATALOGUE.get("revokeMySessions") is None and CATALOGUE.is_for_people("revokeMySessions")
    assert not CATALOGUE.is_for_people("createContact") and not CATALOGUE.is_for_people("nothing")


def test_what_needs_a_confirmation() -> None:
    changes = [each for each in CATALOGUE if each.binding.verb != "GET"]
    assert ids(each for each in changes if not each.needs_confirmation) == UNCONFIRMED
    assert ids(changes) >= CONFIRMED and not CONFIRMED & UNCONFIRMED
    assert not any(each.needs_confirmation for each in CATALOGUE if each.binding.verb == "GET")


@pytest.mark.sampled
@pytest.mark.parametrize("each", sample(list(CATALOGUE), 5), ids=lambda each: str(each.id))
def test_arguments_are_a_schema_that_stands_alone(each: Operation) -> None:
    schema = CATALOGUE.arguments(each)
    Draft202012Validator.check_schema(schema)
    text = msgspec.json.encode(schema).decode()
    assert "#/components/" not in text
    body = openapi.body_example(each.binding) if each.binding.body_type else {}
    parameters = {one["name"]: one["example"] for one in each.spec["parameters"] if one["in"] == "path"}
    Draft202012Validator(schema).validate({**body, **parameters})
    assert set(schema.get("required", ())) >= set(each.binding.path_fields)


def test_a_file_of_contacts_is_a_member_of_the_body() -> None:
    arguments = operation("importContacts")
    assert "dry_run" in arguments.properties and "dry_run" not in arguments.names_of
    assert arguments.names_of == {"Idempotency-Key": "header"}


def test_what_is_no_tools_result() -> None:
    over_http = {each.id for each in CATALOGUE if each.only_over_http}
    assert over_http == {
        "streamCall",
        "getRecording",
        "getCallPeaks",
        "getVoicemailPeaks",
        "listenToCall",
        "getVoicemailAudio",
        "streamApprovals",
        "streamChanges",
        "streamInbox",
        "getMessageMedia",
        "previewVoice",
    }


def test_a_name_that_is_both_a_parameter_and_a_member_fails_at_start() -> None:
    binding = next(each for each in BINDINGS if each.method.name == "UpdateContact")
    spec = DOCUMENT["paths"][binding.path]["patch"]
    twice = {"name": "name", "in": "query", "schema": {"type": "string"}}
    document = {**DOCUMENT, "paths": {binding.path: {"patch": {**spec, "parameters": [*spec["parameters"], twice]}}}}
    with pytest.raises(ValueError, match=r"updateContact: .*\['name'\]"):
        Catalogue([binding], document)


def test_an_agent_gets_what_it_needs() -> None:
    found = searchindex.entry(CATALOGUE, operation("sendMessage"), detailed=True)
    assert found["request"] == "POST /api/sms/conversations/{conversation_id}/messages" and found["needs_confirm"]
    assert (found["role"], found["scope"]) == ("operator", "sms:write")
    assert "conversation_id" in found["arguments"]["required"]
    assert "arguments" not in searchindex.entry(CATALOGUE, operation("sendMessage"), detailed=False)
    assert (
        "Its answer is an event stream"
        in searchindex.entry(CATALOGUE, operation("streamCall"), detailed=True)["only_over_http"]
    )
