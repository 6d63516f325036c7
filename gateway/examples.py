"""Examples for the OpenAPI document: a value of each field.

Most follow from a field's type, format and rules.  Texts are looked up by `Message.field`, else by the field's name,
since a name means the same everywhere.  A test checks every example against its schema.
"""

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from hum.ids import Kind
from hum.json import names, schemas
from hum.json.values import INTEGER_NAMES
from hum.v1 import options_pb2, validate_pb2

ULID: Final = "01HVN5J8Q0ZR4TB8M3C2Y7K6WD"
TIMESTAMP: Final = "2026-03-05T15:04:05Z"
MAX_DEPTH: Final = 5

#: A browser's SDP offer, without ICE candidates.
OFFER: Final = "".join(
    f"{line}\r\n"
    for line in (
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=ice-ufrag:4ZcD",
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlkz",
        "a=fingerprint:sha-256 " + ":".join(["7B", "8B", "F0", "65"] * 8),
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=sendrecv",
        "a=rtpmap:111 opus/48000/2",
    )
)

WELL_KNOWN: Final[dict[str, Any]] = {
    names.TIMESTAMP: TIMESTAMP,
    "google.protobuf.Duration": "1.500s",
    "google.protobuf.FieldMask": "name,notes",
    "google.protobuf.Struct": {"name": "value"},
    "google.protobuf.Value": "value",
    "google.protobuf.ListValue": ["value"],
    "google.protobuf.DoubleValue": 0.5,
    "google.protobuf.FloatValue": 0.5,
    "google.protobuf.Int64Value": 1,
    "google.protobuf.UInt64Value": 1,
    "google.protobuf.Int32Value": 1,
    "google.protobuf.UInt32Value": 1,
    "google.protobuf.BoolValue": True,
    "google.protobuf.StringValue": "text",
    "google.protobuf.BytesValue": "aGVsbG8=",
}

FORMATS: Final[dict[int, Any]] = {
    options_pb2.FORMAT_E164: "+13175551234",
    options_pb2.FORMAT_TIME_ZONE: "America/New_York",
    options_pb2.FORMAT_EMAIL: "ada@example.com",
    options_pb2.FORMAT_DATE: "2026-03-05",
    options_pb2.FORMAT_EVENT_TYPE: "call.completed",
    options_pb2.FORMAT_EVENT_FILTER: "sms.*",
}

#: Nouns that share the ids of another noun.
SAME_IDS: Final = {
    "organization_ref": "organization",
    "membership": "organization",
    "sms_flow": "flow",
    "call_detail": "call",
    "call_contact": "contact",
    "call_note": "note",
    "contact_import": "import",
}

TEXTS: Final[dict[str, Any]] = {
    # identity, team, audit
    "Organization.name": "Riverside Clinic",
    "OrganizationRef.name": "Riverside Clinic",
    "Membership.name": "Riverside Clinic",
    "OnboardOrganizationRequest.name": "Riverside Clinic",
    "ProvisionOrgRequest.name": "Riverside Clinic",
    "time_zone": "America/New_York",
    "from_e164": "+13175551234",
    "to_e164": "+13175550100",
    "phone_e164": "+13175551234",
    "audio_url": f"/api/voicemails/voicemail_{ULID}/audio",
    "recording_url": f"/api/calls/call_{ULID}/recording",
    "sdp": OFFER,
    "recording_fault": "No space left on device",
    "end_reason": "caller",
    "outcome_label": "appointment",
    "summary_text": "The caller made an appointment for Monday.",
    "key_points": ["New patient"],
    "next_actions": ["Send the form"],
    "admin_notes": "asked for by phone",
    "plan": "free",
    "User.name": "Ada Lovelace",
    "Member.name": "Ada Lovelace",
    "email": "ada@example.com",
    "invited_by": "grace@example.com",
    "ApiKey.name": "Reporting",
    "scopes": ["calls:read", "contacts:read"],
    "prefix": "hum_live_1aB2cD",
    "secret": "hum_live_1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV2wX3yZ4aB5c",
    "actor": f"user:user_{ULID}",
    "actor_name": "ada@example.com",
    "action": "updateFlow",
    "subject": f"flow_{ULID}",
    "fields": ["greeting"],
    "request_id": "req_8f2c",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    # flows and numbers
    "Flow.name": "Front desk",
    "trigger_events": ["external.order_shipped"],
    "Trigger.name": "Web shop",
    "Trigger.event": "external.order_paid",
    "Trigger.token": "Vt5f0J2wq7Yb1mX9cK3sLr8dHn4pQz6uAe-Gi_TjWxo",
    "Trigger.url": "https://hum.example/hooks/Vt5f0J2wq7Yb1mX9cK3sLr8dHn4pQz6uAe-Gi_TjWxo",
    "CrmConnector.secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "RotateCrmSecretRequest.secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "Trigger.secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "RotateTriggerSecretRequest.secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "id_field": "id",
    "last_refusal": "signature",
    "TriggerDelivery.event": "external.order_paid",
    "key_source": "idempotency-key",
    "TriggerDelivery.key": "order 7 was paid",
    "TriggerDelivery.media_type": "application/json",
    "TriggerBody.media_type": "application/json",
    "TriggerBody.text": '{"order": 7}',
    "Email.to": "ada@example.com",
    "Email.error": "550 5.1.1 No such user",
    "greeting": "Hello, this is Riverside Clinic. How can I help?",
    "system_prompt": "You answer the phone of a clinic. Be brief and kind.",
    "voice": "marin",
    "model": "gpt-realtime-2.1",
    "language": "en-US",
    "max_call_seconds": 1800,
    "after_hours_message": "We are closed. Please call again tomorrow.",
    "voicemail_greeting": "Please leave a message after the tone.",
    "hold_phrase": "One moment, please.",
    "filler_phrases": ["Let me look that up."],
    "whisper_text": "A call from the clinic's line.",
    "knowledge_ids": [f"doc_{ULID}"],
    "booking_service_ids": [f"svc_{ULID}"],
    "machine_message": "Please call us back.",
    "friendly_name": "Main line",
    "country": "US",
    "area_code": "317",
    "locality": "Indianapolis",
    "region": "IN",
    "contains": "555",
    "capabilities": ["voice"],
    "base_url": "https://crm.example.com/hum",
    "body_template": "We are closed on Monday.",
    # contacts
    "Contact.name": "Grace Hopper",
    "company": "Harbour Foods",
    "notes": "Prefers mornings.",
    "carrier": "T-Mobile USA, Inc.",
    "line_type": "mobile",
    "caller_name": "GRACE HOPPER",
    "twilio_number_id": ULID,
    "csv": "phone,name,tags\n+13175551234,Grace Hopper,vip\n",
    "ConvertToE164Request.text": "317-555-0100",
    "default_region": "US",
    "ImportContactsRequest.columns": ["phone_e164", "name", "tags"],
    "ImportColumn.title": "phone",
    "ImportColumn.becomes": "phone_e164",
    "column": "phone",
    "ignored_columns": ["fax"],
    # webhooks
    "Webhook.events": ["sms.*", "call.completed"],
    "Webhook.secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwCx0RkT2eZYg=",
    "Webhook.description": "Our CRM",
    "WebhookPreset.name": "slack",
    "WebhookPreset.title": "Slack",
    "WebhookPreset.events": ["sms.received"],
    "WebhookDelivery.body": '{"id":"evt_...","type":"sms.received",...}',
    "preset": "crm",
    "url": "https://hooks.example.com/hum",
    "url_prefixes": ["https://hooks.slack.com/"],
    "instructions": "Make an incoming webhook in a Slack app and take its URL.",
    "event_type": "sms.received",
    "error": "status",
    "response_status": 503,
    "WebhookAttempt.message": "The receiver answered 503.",
    "response_body": "upstream is away",
    "response_type": "text/plain",
    # analytics
    "date": "2026-03-05",
    "NamedFigures.name": "appointment",
    # calls and review
    "contact_name": "Grace Hopper",
    "transcript": "Please call me back.",
    "heard_by": "ada@example.com",
    "tag": "vip",
    "tags": ["vip"],
    "body": "Wants a call back on Monday.",
    "author": "ada@example.com",
    "reason": "spam",
    "text": "I would like to make an appointment.",
    "heard_text": "I would like to make",
    "outcome": {"reason": "appointment", "booked": True},
    "arguments": {"date": "2026-03-09"},
    "result": {"free": ["10:00"]},
    "next_cursor": "W3siaWQiOiIwMThlIn1dT0sh",
}


def of_message(descriptor: Descriptor, *, only: set[str] | None = None, depth: int = 0) -> dict[str, Any]:
    """Return an object with an example for each field, or for the fields named by `only`."""
    return {
        names.rest_name(field): of_field(field, depth)
        for field in descriptor.fields
        if (only is None or field.name in only) and not (field.message_type is not None and depth >= MAX_DEPTH)
    }


def of_field(field: FieldDescriptor, depth: int = 0) -> Any:
    """Return an example of a field's value, as JSON."""
    for key in (f"{_owner(field).name}.{field.name}", field.name):
        if key in TEXTS and _fits(field, TEXTS[key]):
            return TEXTS[key]
    value = _of_one(field, depth)
    return [value] if field.is_repeated and not names.is_map(field) else value


def _fits(field: FieldDescriptor, text: Any) -> bool:
    """Tell whether a text has the field's shape: the same name may be JSON in one message and a word in another."""
    if names.is_map(field):
        return isinstance(text, dict)
    if field.is_repeated:
        return isinstance(text, list) and (field.message_type is not None) == isinstance(text[0], dict)
    return field.type == FieldDescriptor.TYPE_STRING and isinstance(text, str) != names.is_raw_json(field)


def _of_one(field: FieldDescriptor, depth: int) -> Any:
    options = field.GetOptions().Extensions
    if options[options_pb2.format]:
        return FORMATS[options[options_pb2.format]]
    if name := options[options_pb2.json_schema]:
        return schemas.schema(name)["examples"][0]
    if (inner := field.message_type) is not None:
        if names.is_map(field):
            return {"key": _of_one(inner.fields_by_name["value"], depth)}
        example = WELL_KNOWN.get(inner.full_name)
        if example is not None:
            return example
        writable = {each.name for each in inner.fields if not names.is_read_only(each)}
        return of_message(inner, only=writable if names.is_as_input(field) else None, depth=depth + 1)
    if field.enum_type is not None:
        return next(iter(names.enum_words(field.enum_type)))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    rules = options[validate_pb2.field]
    if allowed := getattr((rules.repeated.items if field.is_repeated else rules).string, "in"):
        return allowed[0]
    if field.type == FieldDescriptor.TYPE_STRING:
        return {} if names.is_raw_json(field) else _id(field) or field.name.replace("_", " ")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return "aGVsbG8="
    return _number(field)


def _number(field: FieldDescriptor) -> int | float:
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return 0.5
    rules = field.GetOptions().Extensions[validate_pb2.field]
    limits = getattr(rules, INTEGER_NAMES[field.type])
    return int(limits.gte) if limits.HasField("gte") else 1


def _id(field: FieldDescriptor) -> str | None:
    """Return `flow_01HV...` for a field that holds an id, else None."""
    if field.name == "id":
        return _id_of(_snake(_owner(field).name))
    return _id_of(field.name.removesuffix("_id")) if field.name.endswith("_id") else None


def of_path(collection: str) -> str:
    """Return an id of a path's collection: `flow_01HV...` for `flows`."""
    return _id_of(collection.replace("-", "_").removesuffix("s")) or ULID


def _id_of(noun: str) -> str | None:
    kind = Kind.__members__.get(SAME_IDS.get(noun, noun).upper())
    return None if kind is None else f"{kind.value}_{ULID}" if kind.value else ULID


def _owner(field: FieldDescriptor) -> Descriptor:
    assert field.containing_type is not None, "a message's field"
    return field.containing_type


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
