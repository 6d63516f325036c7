"""The carrier's webhooks of texts over real HTTP: signed, once each, answered with nothing to say, whatever they hold."""

from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from gateway.signedforms import FORM_BYTES
from hum import twiliosignature
from sandbox.twilio import sign
from tests.contract.conftest import ACCOUNT, PUBLIC, SUBACCOUNT, TOKEN, Edge
from tests.support import examples
from tests.support.metrics import sample

NUMBER, CONTACT = "+13175550100", "+13175550199"
TEXT = {
    "MessageSid": "SM1",
    "SmsSid": "SM1",
    "AccountSid": ACCOUNT,
    "From": CONTACT,
    "To": NUMBER,
    "Body": "Are you open? ",
    "NumMedia": "0",
    "NumSegments": "1",
    "FromCity": "",
}
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


async def post(
    edge: Edge,
    form: dict[str, str],
    path: str = "/twilio/sms",
    *,
    token: str = TOKEN,
    public: str = PUBLIC,
    **headers: str,
) -> httpx.Response:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        signature = sign(token, public + path, list(form.items()))
        return await http.post(path, data=form, headers={"X-Twilio-Signature": signature, **headers})


async def set_up(edge: Edge) -> httpx.AsyncClient:
    http = await edge.client()
    assert (await http.post("/api/numbers", json={"e164": NUMBER})).status_code == 201
    return http


async def rows(edge: Edge, query: str) -> list[dict[str, Any]]:
    async with edge.plane.control.db.system() as tx:
        return [dict(row) for row in await tx.fetch(query)]


async def messages(edge: Edge) -> list[dict[str, Any]]:
    return await rows(edge, "SELECT * FROM messages ORDER BY id")


async def test_a_text_is_a_row_and_an_event(edge: Edge) -> None:
    await set_up(edge)
    for _ in range(3):
        answer = await post(edge, TEXT)
        assert (answer.status_code, answer.text) == (200, EMPTY)
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    (message,) = await messages(edge)
    assert (message["body"], message["status"], message["contact_e164"]) == ("Are you open? ", "received", CONTACT)
    told = await rows(edge, "SELECT type FROM events WHERE type LIKE 'sms.%' OR type LIKE 'conversation.%' ORDER BY id")
    assert [row["type"] for row in told] == ["conversation.started", "sms.received"]


FORGED: tuple[dict[str, Any], ...] = (
    {"token": "other"},
    {"public": "https://evil.example"},
    {"Host": "evil.example", "public": "https://evil.example"},
    {"X-Twilio-Webhooks-Signature-Settings": "key=1,algorithm=HMAC_SHA256"},
)


async def test_a_bad_signature_changes_nothing(edge: Edge) -> None:
    await set_up(edge)
    for path in ("/twilio/sms", "/twilio/sms/fallback", "/twilio/sms/status/send_x"):
        for how in FORGED:
            answer = await post(edge, TEXT, path, **how)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), (path, how)
    assert await messages(edge) == []


async def test_a_text_through_a_messaging_service_that_nobody_knows_is_stored(edge: Edge) -> None:
    """The number decides whose it is, with the account; a service that was set up at the carrier alone changes nothing."""
    await set_up(edge)
    before = counted("signed"), counted("unsigned"), counted("other_account")
    service = {"MessagingServiceSid": "MG" + "3" * 32}
    assert (await post(edge, {**TEXT, **service})).status_code == 200
    assert (
        await post(edge, {**TEXT, **service, "MessageSid": "SM2", "Body": "STOP", "OptOutType": "STOP"})
    ).text == EMPTY
    assert [each["body"] for each in await messages(edge)] == [TEXT["Body"], "STOP"]
    assert len(await rows(edge, "SELECT * FROM opt_outs WHERE opted_out")) == 1
    # Refusals are counted apart, for an alert: a check that refuses what is the carrier's loses texts.
    assert (await post(edge, TEXT, token="other")).status_code == 403
    assert (await post(edge, {**TEXT, "AccountSid": "AC" + "9" * 32})).status_code == 403
    after = counted("signed"), counted("unsigned"), counted("other_account")
    assert [then - now for then, now in zip(after, before, strict=True)] == [2, 1, 1]


def counted(how: str) -> float:
    return sample("hum_carrier_webhooks_total", {"how": how}) or 0.0


async def test_a_query_and_another_account_are_refused(edge: Edge) -> None:
    await set_up(edge)
    assert (await post(edge, TEXT, "/twilio/sms?x=1")).status_code == 403
    assert (await post(edge, {**TEXT, "AccountSid": "AC" + "9" * 32})).status_code == 403
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE numbers SET account_sid = $1", ACCOUNT)
    assert (await post(edge, {**TEXT, "AccountSid": SUBACCOUNT})).text == EMPTY, "its number of that name is not ours"
    assert await messages(edge) == []


async def test_a_report_of_no_text_of_ours_is_answered(edge: Edge) -> None:
    form = {"MessageSid": "SM9", "MessageStatus": "delivered", "AccountSid": ACCOUNT, "To": CONTACT, "From": NUMBER}
    for attempt in ("send_x", "send_01HVN3Z9X0C4T7W8A5B6D7E8F9", "a b", "9" * 5000):
        answer = await post(edge, form, f"/twilio/sms/status/{quote_plus(attempt)}")
        assert (answer.status_code, answer.text) == (204, ""), attempt


# --- what nobody sends, and what some do ----------------------------------------------------------------------------


SILLY = ("\0", "9" * 400, "-1", "1e99", "NaN", "\ud7ff\uffff", "'; --", "<Response/>", "\r\nX: y", "")


@pytest.mark.sampled
async def test_silly_values_do_no_harm(edge: Edge) -> None:
    await set_up(edge)
    names = ("Body", "NumMedia", "NumSegments", "MediaUrl0", "MediaContentType0", "OptOutType", "From", "FromZip")
    sent = examples.sample([(name, silly) for name in names for silly in SILLY], 3)
    for number, (name, silly) in enumerate(sent):
        answer = await post(edge, {**TEXT, "MessageSid": f"SM{number}", name: silly})
        assert (answer.status_code, answer.text) == (200, EMPTY), (name, silly)
    assert len(await messages(edge)) == len(sent)
    for silly in SILLY:
        assert (await post(edge, {**TEXT, "MessageSid": "SMx", "To": silly})).text == EMPTY
        assert (await post(edge, {**TEXT, "MessageSid": silly + "\0"})).text == EMPTY
    assert len(await messages(edge)) == len(sent)


async def test_a_field_of_ten_megabytes_is_refused_and_the_next_text_is_not(edge: Edge) -> None:
    await set_up(edge)
    answer = await post(edge, {**TEXT, "Body": "x" * (10 << 20)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    assert (await post(edge, {**TEXT, **{f"F{n}": "x" for n in range(300)}})).status_code == 413
    longest = "\U0001f600" * 1600
    assert len(quote_plus(longest)) < FORM_BYTES
    assert (await post(edge, {**TEXT, "Body": longest})).text == EMPTY
    (message,) = await messages(edge)
    assert (message["body"], message["segments"]) == (longest, 49)


async def test_bytes_that_are_no_text_are_signed_as_they_are(edge: Edge) -> None:
    """Half an emoji, or Latin-1: what the carrier passes on, it has signed."""
    await set_up(edge)
    garbled = b"caf\xe9 \xed\xa0\xbd"
    raw = "&".join(f"{name}={quote_plus(garbled if name == 'Body' else value)}" for name, value in TEXT.items())
    form = {**TEXT, "Body": garbled.decode("utf-8", "surrogateescape")}
    signature = twiliosignature.sign(TOKEN, PUBLIC + "/twilio/sms", list(form.items()))
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        assert (await http.post("/twilio/sms", content=raw, headers=headers)).text == EMPTY
    (message,) = await messages(edge)
    assert message["body"].startswith("caf\ufffd")


async def test_a_picture_alone_and_a_count_that_lies(edge: Edge) -> None:
    await set_up(edge)
    media = {
        "MediaUrl0": "https://api.twilio.com/a",
        "MediaContentType0": "image/jpeg",
        "MediaUrl2": "https://x.example/c",
    }
    picture = {name: value for name, value in TEXT.items() if name != "Body"} | media
    for number, count in enumerate(("1", "10", "0", "1e9", "")):
        assert (await post(edge, {**picture, "MessageSid": f"MM{number}", "NumMedia": count})).text == EMPTY
    assert [message["body"] for message in await messages(edge)] == [""] * 5
    kept = await rows(edge, "SELECT index, url, status FROM message_media ORDER BY message_id, index")
    assert [(row["index"], row["status"]) for row in kept] == [(0, "fetching"), (1, "fetching")] * 5


async def test_a_text_to_no_number_of_ours_is_answered_and_kept_nowhere(edge: Edge) -> None:
    await set_up(edge)
    for to in ("whatsapp:+13175550100", "rcs:brand_agent", "+13175550109", "messenger:1"):
        assert (await post(edge, {**TEXT, "To": to})).text == EMPTY
    assert await messages(edge) == []


async def test_a_text_to_a_group_is_stored_and_owed_nothing(edge: Edge) -> None:
    await set_up(edge)
    assert (await post(edge, {**TEXT, "OtherRecipients0": "+13175550177"})).text == EMPTY
    assert len(await messages(edge)) == 1
    assert await rows(edge, "SELECT turn_due_at FROM conversations") == [{"turn_due_at": None}]
