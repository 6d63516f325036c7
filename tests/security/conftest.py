"""A running gateway, and the carrier before it."""

from urllib.parse import urlencode

from sandbox.twilio import sign
from tests.contract.conftest import (
    ACCOUNT,
    PUBLIC,
    TOKEN,
    Edge,
    edge,
    issuer,
    limits,
    payments,
    plane,
    public_socket,
    running_issuer,
)
from tests.support.wires import head, wire

__all__ = ["Edge", "edge", "issuer", "limits", "payments", "plane", "public_socket", "running_issuer"]


def webhook(path: str = "/twilio/voice", **form: str) -> str:
    """A webhook that the carrier signed, whole."""
    given = {"AccountSid": ACCOUNT, "CallSid": "CA1", "From": "+13175550199", "To": "+13175550100", **form}
    body = urlencode(given)
    headers = {
        "X-Twilio-Signature": sign(TOKEN, PUBLIC + path, list(given.items())),
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
    }
    return head("POST", path, headers) + body


async def carrier_is_answered(url: str) -> bool:
    """Tell whether a signed webhook gets TwiML."""
    async with wire(url) as carrier:
        await carrier.send(webhook())
        status, body = await carrier.answer()
        return status == 200 and "<Response>" in body
