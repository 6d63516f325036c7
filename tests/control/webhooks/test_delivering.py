"""From an event to a receiver: what is sent, again and again if need be, and what is recorded of it."""

import asyncio
import base64
import json
import ssl
from typing import Any

import pytest
import standardwebhooks

from control import readers
from control.base.rates import Rates
from control.webhooks import usecases
from control.webhooks.retries import Schedule
from control.webhooks.sealing import WebhookSealer
from control.webhooks.usecases import WebhookLimits
from hum import ids
from hum.contract.errors import InvalidState
from hum.ids import Kind
from hum.secrets import sign
from hum.v1 import events_pb2
from sandbox.receiver import ReceivedRequest, Receiver, ReceiverFault, Reply
from storage import calls, erasures, events, flows, identity, webhook_deliveries, webhooks
from storage.calls import NewCall
from tests.control.webhooks.conftest import LOCAL, SCHEDULE, Hooked, received
from tests.support.certificate import self_signed

LIMITS = WebhookLimits(50, LOCAL, 3600.0)


def verified(secret: str, request: ReceivedRequest) -> dict[str, Any]:
    """The body, if others' library finds both signatures good."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert request.headers["x-hum-signature"] == f"sha256={sign(key, request.body).hex()}"
    body: dict[str, Any] = standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))
    return body


async def test_an_event_reaches_each_webhook_that_wants_it_once(hooked: Hooked) -> None:
    one, other = await hooked.webhook("/one"), await hooked.webhook("/other", events=["sms.*"])
    await hooked.webhook("/none", events=["call.completed"])
    (event,) = await hooked.happen(received())
    await hooked.sender().send_due()
    for path, webhook in (("/one", one), ("/other", other)):
        (request,) = hooked.receiver.at(path)
        body = verified(hooked.secrets[webhook], request)
        assert (body["id"], body["type"], body["sequence"]) == (ids.show(Kind.EVENT, event), "sms.received", 1)
        assert body["organization_id"] == ids.show(Kind.ORGANIZATION, hooked.org)
        assert body["data"]["body"] == "text 1 ✓"
        assert request.headers["x-hum-event"] == "sms.received"
        (delivery,) = await hooked.deliveries(webhook)
        assert (delivery.state, delivery.attempts, delivery.response_status) == ("delivered", 1, 200)
        assert request.headers["x-hum-delivery"] == ids.show(Kind.DELIVERY, delivery.id)
    assert hooked.receiver.at("/none") == []


async def test_a_failure_is_retried_with_the_same_body_and_id_until_it_succeeds(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say(
        "/hook", Reply(500, body=b"oh"), Reply(503, {"Retry-After": "0"}), Reply(301, {"Location": "/x"})
    )
    await hooked.happen(received())
    (delivery,) = await hooked.until_settled(webhook)
    requests = hooked.receiver.at("/hook")
    assert (delivery.state, delivery.attempts, len(requests)) == ("delivered", 4, 4)
    assert len({each.body for each in requests}) == len({each.headers["webhook-id"] for each in requests}) == 1
    for each in requests:
        verified(hooked.secrets[webhook], each)
    assert hooked.receiver.at("/x") == []  # a redirect is not followed
    async with hooked.db.tenant(hooked.org) as tx:
        attempts = await webhook_deliveries.attempts(tx, delivery.id)
    assert [(each.number, each.response_status, each.error) for each in attempts] == [
        (1, 500, "status"),
        (2, 503, "status"),
        (3, 301, "status"),
        (4, 200, None),
    ]
    assert attempts[0].response_body == b"oh"
    assert (await hooked.row(webhook)).failing_since is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ReceiverFault.HANG, "timeout"),
        (ReceiverFault.RESET, "protocol"),
        (ReceiverFault.CUT, "protocol"),
        (ReceiverFault.DRIP, "timeout"),
        (ReceiverFault.GARBAGE, "protocol"),
    ],
)
async def test_a_bad_answer_is_a_failure_and_no_harm(hooked: Hooked, fault: ReceiverFault, error: str) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say("/hook", Reply(fault=fault))
    await hooked.happen(received())
    (delivery,) = await hooked.until_settled(webhook, hooked.sender(request_seconds=0.3))
    async with hooked.db.tenant(hooked.org) as tx:
        first, *_, last = await webhook_deliveries.attempts(tx, delivery.id)  # on a busy machine others time out, too
    assert (first.error, first.response_status, last.response_status) == (error, None, 200)


async def test_a_huge_answer_is_cut_off_at_16_kib(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say("/hook", Reply(fault=ReceiverFault.HUGE))
    await hooked.happen(received())
    (delivery,) = await hooked.until_settled(webhook)
    async with hooked.db.tenant(hooked.org) as tx:
        (attempt,) = await webhook_deliveries.attempts(tx, delivery.id)
    assert delivery.state == "delivered"
    assert attempt.response_body is not None
    assert len(attempt.response_body) == 16 << 10


async def test_answers_beyond_the_organizations_limit_are_not_stored(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say("/hook", *[Reply(200, body=b"o" * 4_000)] * 3)
    await hooked.happen(*(received(n) for n in range(3)))
    deliveries = await hooked.until_settled(webhook, hooked.sender(answer_kb=Rates(1e-9, 10)))
    async with hooked.db.tenant(hooked.org) as tx:
        attempts = [(await webhook_deliveries.attempts(tx, each.id))[0] for each in deliveries]
    assert {each.response_status for each in attempts} == {200}
    assert sorted(len(each.response_body or b"") for each in attempts) == [0, 4_000, 4_000]


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(hooked: Hooked, tmp_path: Any) -> None:

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    async with Receiver.serve(tls=context) as wrong:
        webhook = await hooked.webhook(url=f"{wrong.url}/hook")
        await hooked.happen(received())
        (delivery,) = await hooked.until_settled(webhook, hooked.sender(schedule=Schedule((), 0, 0)))
        assert (delivery.state, delivery.error) == ("failed", "tls")
        assert wrong.requests == []


async def test_an_address_that_is_not_public_is_never_asked(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    async with hooked.db.system() as tx:  # as if its name had been given another address since
        await tx.execute("UPDATE webhooks SET url = 'http://169.254.169.254/latest'")
    await hooked.happen(received())
    (delivery,) = await hooked.until_settled(webhook, hooked.sender(schedule=Schedule((), 0, 0)))
    assert (delivery.state, delivery.error) == ("failed", "blocked_address")


async def test_all_attempts_fail_and_it_is_sent_again_when_a_person_says_so(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.always("/hook", Reply(500))
    await hooked.happen(received())
    (delivery,) = await hooked.until_settled(webhook)
    assert (delivery.state, delivery.attempts) == ("failed", 1 + SCHEDULE.retries)
    async with hooked.db.tenant(hooked.org) as tx:
        await usecases.redeliver(tx, webhook, delivery.id)
    (delivery,) = await hooked.until_settled(webhook)
    assert (delivery.state, delivery.attempts) == ("failed", 2 + SCHEDULE.retries)  # once, without its schedule
    hooked.receiver.always("/hook", Reply(200))
    async with hooked.db.tenant(hooked.org) as tx:
        assert await webhook_deliveries.replay(tx, webhook, None, ["failed", "missed"], SCHEDULE.retries) == 1
    (delivery,) = await hooked.until_settled(webhook)
    assert delivery.state == "delivered"


async def test_a_delivery_that_is_being_attempted_is_not_sent_again_at_the_same_time(hooked: Hooked) -> None:
    webhook, answered, go = await hooked.webhook(), asyncio.Event(), asyncio.Event()

    async def at_step(step: str) -> None:
        if step == "answered":
            answered.set()
            await go.wait()

    hooked.receiver.say("/hook", Reply(500))
    await hooked.happen(received())
    attempt = asyncio.create_task(hooked.sender(at_step).send_due())
    await answered.wait()
    (delivery,) = await hooked.deliveries(webhook)
    async with hooked.db.tenant(hooked.org) as tx:
        with pytest.raises(InvalidState, match="under way"):
            await usecases.redeliver(tx, webhook, delivery.id)
    go.set()
    await attempt
    async with hooked.db.tenant(hooked.org) as tx:
        await usecases.redeliver(tx, webhook, delivery.id)
    await hooked.sender().send_due()
    (delivery,) = await hooked.deliveries(webhook)
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


async def test_410_disables_and_what_happens_then_is_missed_until_it_is_replayed(hooked: Hooked) -> None:
    webhook, other = await hooked.webhook(), await hooked.webhook("/other", events=["webhook.disabled"])
    hooked.receiver.say("/hook", Reply(410))
    await hooked.happen(received())
    await hooked.sender().send_due()
    assert (await hooked.row(webhook)).disabled_reason == "gone"
    await hooked.happen(received(2))
    await hooked.sender().send_due()
    assert [each.state for each in await hooked.deliveries(webhook)] == ["failed", "missed", "missed"]
    (news,) = hooked.receiver.at("/other")
    assert json.loads(news.body)["data"]["reason"] == "gone"
    assert [each.state for each in await hooked.deliveries(other)] == ["delivered"]
    async with hooked.db.tenant(hooked.org) as tx:
        assert await tx.fetchval(
            "SELECT action FROM audit_log WHERE subject = $1", ids.show(Kind.WEBHOOK, webhook)
        ) == ("disabledWebhook")
        await webhooks.enable(tx, webhook)
        assert await webhook_deliveries.replay(tx, webhook, None, ["missed"], SCHEDULE.retries) == 2
    await hooked.sender().send_due()
    assert [each.state for each in await hooked.deliveries(webhook)] == ["failed", "delivered", "delivered"]


async def test_what_waits_when_a_webhook_is_disabled_is_missed(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say("/hook", Reply(500))
    await hooked.happen(received())
    sender = hooked.sender(schedule=Schedule((3600.0,), 0, 0))
    await sender.send_due()
    async with hooked.db.tenant(hooked.org) as tx:
        await webhooks.disable(tx, webhook, "person")
    await sender.send_due()
    assert [each.state for each in await hooked.deliveries(webhook)] == ["missed"]
    assert len(hooked.receiver.requests) == 1


async def test_a_secret_that_is_rotated_between_attempts(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say("/hook", Reply(500), Reply(500))
    await hooked.happen(received())
    sender = hooked.sender(schedule=Schedule((3600.0,) * 3, 0, 0))
    await sender.send_due()
    async with hooked.db.tenant(hooked.org) as tx:
        _, newer = await usecases.rotate(tx, webhook, WebhookSealer(hooked.keyring), LIMITS)
        await webhook_deliveries.redeliver(
            tx, webhook, (await webhook_deliveries.page(tx, webhook, None, None, 1))[0].id
        )
    await sender.send_due()
    async with hooked.db.tenant(hooked.org) as tx:  # the overlap is over
        await tx.execute("UPDATE webhooks SET previous_secret_expires_at = now() - interval '1 second'")
        await webhook_deliveries.redeliver(
            tx, webhook, (await webhook_deliveries.page(tx, webhook, None, None, 1))[0].id
        )
    await sender.send_due()
    first, second, third = hooked.receiver.at("/hook")
    older = hooked.secrets[webhook]
    verified(older, first)
    verified(newer, second)
    standardwebhooks.Webhook(older).verify(second.body, dict(second.headers))  # both, while both are valid
    verified(newer, third)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(older).verify(third.body, dict(third.headers))
    assert first.body == second.body == third.body


async def test_a_webhook_that_is_deleted_under_way_leaves_nothing(hooked: Hooked) -> None:
    webhook, begun, go = await hooked.webhook(), asyncio.Event(), asyncio.Event()

    async def at_step(step: str) -> None:
        if step == "answered":
            begun.set()
            await go.wait()

    await hooked.happen(received(), received(2))
    sending = asyncio.create_task(hooked.sender(at_step).send_due())
    await begun.wait()
    async with hooked.db.tenant(hooked.org) as tx:
        await webhooks.delete(tx, webhook)
    go.set()
    await sending
    async with hooked.db.system() as tx:
        for table in ("webhooks", "webhook_queues", "webhook_deliveries", "webhook_attempts"):
            assert await tx.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_an_event_that_was_deleted_is_not_sent_and_its_answers_are_gone(hooked: Hooked) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.say("/hook", Reply(500, body=b"dear Ada"))
    (event,) = await hooked.happen(received())
    sender = hooked.sender(schedule=Schedule((60.0,) * 3, 0, 0))
    while not (await hooked.deliveries(webhook))[0].attempts:
        await sender.send_due()
    hooked.receiver.always("/hook", Reply(200))
    async with hooked.db.tenant(hooked.org) as tx:
        await tx.execute("UPDATE webhook_deliveries SET due_at = now() + interval '1 day'")
        assert await erasures.empty_events(tx, [event]) == 1
    (delivery,) = await hooked.deliveries(webhook)
    assert (delivery.state, delivery.error) == ("canceled", "deleted")
    async with hooked.db.tenant(hooked.org) as tx:
        attempts = await webhook_deliveries.attempts(tx, delivery.id)
    assert {each.response_body for each in attempts} == {None}


async def test_headers_of_ones_own_are_sent_and_sealed(hooked: Hooked) -> None:
    webhook = await hooked.webhook(headers={"Authorization": "Bearer abc"})
    await hooked.happen(received())
    await hooked.sender().send_due()
    assert hooked.receiver.requests[0].headers["authorization"] == "Bearer abc"
    sealed = (await hooked.row(webhook)).sealed_headers
    assert sealed is not None
    assert b"abc" not in sealed


@pytest.mark.parametrize("format", ["slack", "discord", "teams"])
async def test_a_line_for_people(hooked: Hooked, format: str) -> None:
    await hooked.webhook(format=format)
    message = received()
    message.body = "<!channel> hi"
    await hooked.happen(message)
    await hooked.sender().send_due()
    body = hooked.receiver.requests[0].body.decode()
    assert "sms.received" in body
    # Teams shows the words of a text run as they are.
    assert ("<!channel>" in body) is (format == "teams") and ('"RichTextBlock"' in body) is (format == "teams")


async def test_only_events_of_a_number(hooked: Hooked) -> None:
    number, other, thread = ids.new(), ids.new(), ids.new()
    async with hooked.db.system() as tx:
        for id, e164 in ((number, "+12125550101"), (other, "+12125550102")):
            await tx.execute(
                "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, $3, $4, '{sms}')",
                id,
                hooked.org,
                e164,
                f"PN{id.hex}",
            )
        await tx.execute(
            "INSERT INTO conversations (id, org_id, number_e164, contact_e164, number_id) VALUES ($1, $2, $3, $4, $5)",
            thread,
            hooked.org,
            "+12125550101",
            "+13175551234",
            number,
        )
    await hooked.webhook("/mine", numbers=[ids.show(Kind.NUMBER, number)])
    await hooked.webhook("/other", numbers=[ids.show(Kind.NUMBER, other)])
    await hooked.happen(
        received(conversation=thread), received(), events_pb2.CampaignCompletedEvent(campaign_id="camp_1")
    )
    await hooked.sender().send_due()
    assert [json.loads(each.body)["data"]["conversation_id"] for each in hooked.receiver.requests] == [
        ids.show(Kind.CONVERSATION, thread)
    ]
    assert hooked.receiver.requests[0].path == "/mine"


async def test_only_events_of_a_flows_calls_and_conversations(hooked: Hooked) -> None:
    flow, own_flow, number = ids.new(), ids.new(), ids.new()
    by_number, by_itself, call = ids.new(), ids.new(), ids.new()
    async with hooked.db.tenant(hooked.org) as tx:
        for id in (flow, own_flow):
            await flows.create(tx, id, "sms", {"name": "F"})
        await tx.execute(
            "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities, sms_flow_id)"
            " VALUES ($1, $2, '+12125550101', 'PN1', '{sms}', $3)",
            number,
            hooked.org,
            flow,
        )
        for thread, contact, own in ((by_number, "+13175551234", None), (by_itself, "+13175551235", own_flow)):
            await tx.execute(
                "INSERT INTO conversations (id, org_id, number_e164, contact_e164, number_id, flow_id)"
                " VALUES ($1, $2, '+12125550101', $3, $4, $5)",
                thread,
                hooked.org,
                contact,
                number,
                own,
            )
        line = ("+13175551234", "+12125550101", number, flow, 1, None)
        await calls.create(tx, NewCall(call, hooked.org, "CA1", "inbound", "in_progress", *line))
    await hooked.webhook("/flow", flows=[ids.show(Kind.FLOW, flow)])
    await hooked.webhook("/own", flows=[ids.show(Kind.FLOW, own_flow)])
    began = events_pb2.CallStartedEvent(call_id=ids.show(Kind.CALL, call))
    await hooked.happen(received(conversation=by_number), received(conversation=by_itself), began, received())
    await hooked.sender().send_due()
    got = {path: [json.loads(each.body)["data"] for each in hooked.receiver.at(path)] for path in ("/flow", "/own")}
    about = {
        path: {each.get("call_id") or each["conversation_id"] for each in all_of_them}
        for path, all_of_them in got.items()
    }
    assert about == {
        "/flow": {ids.show(Kind.CONVERSATION, by_number), ids.show(Kind.CALL, call)},
        "/own": {ids.show(Kind.CONVERSATION, by_itself)},
    }


async def test_a_noisy_organizations_webhooks_delay_no_others(hooked: Hooked) -> None:
    noisy, thread = ids.new(), ids.new()
    async with hooked.db.system() as tx:
        await identity.create_organization(tx, noisy, "Noisy")
    loud = await hooked.webhook(org=noisy)
    quiet = await hooked.webhook()
    async with hooked.db.system() as tx:
        await events.append_all(
            tx, [events.NewEvent(noisy, ids.new(), received(conversation=thread)) for _ in range(2_000)]
        )
    async with hooked.db.system() as tx:
        await events.append(tx, hooked.org, ids.new(), received())
    for _ in range(2):
        await readers.read(hooked.db, hooked.reader())
    assert len(await hooked.deliveries(quiet)) == 1
    count = "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1"
    async with hooked.db.system() as tx:
        assert await tx.fetchval(count, loud) < 1_000, "there is more to do"
    await hooked.read()
    async with hooked.db.system() as tx:
        rows = await tx.fetch("SELECT sequence FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY event_id", loud)
    assert [row["sequence"] for row in rows] == list(range(1, 2_001)), "in their order, each once"
