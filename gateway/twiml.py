"""TwiML and the carrier's signatures.  Pure.

Signature: Twilio "Validate requests": base64(HMAC-SHA1(auth token, URL + sorted parameters)).  Our own, because the
SDK's validator leaks timing on a length mismatch, mangles URLs with user-info or IPv6 hosts, and passes a JSON body
unchecked when it is handed empty parameters.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from xml.sax.saxutils import escape, quoteattr

from hum.v1 import runtime_pb2 as pb

Parameters = Sequence[tuple[str, str]]
STANDARD_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
EMPTY = f"{HEAD}<Response/>"


def form(body: bytes) -> Parameters:
    """A form body's parameters, blank ones too: they are signed."""
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)


def sign(token: str, url: str, parameters: Parameters) -> str:
    """The signature of a request with these form parameters."""
    values: dict[str, set[str]] = {}
    for name, value in parameters:
        values.setdefault(name, set()).add(value)  # of a repeated name, each distinct value once
    signed = url + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()


def is_signed(tokens: Iterable[str], url: str, parameters: Parameters, signature: str) -> bool:
    """Tell whether the carrier made this request: under any of the tokens, with or without the standard port."""
    good = False
    for token in tokens:
        for form_of_url in _with_and_without_port(url):
            good |= hmac.compare_digest(sign(token, form_of_url, parameters).encode(), signature.encode())
    return good


def _with_and_without_port(url: str) -> Iterator[str]:
    yield url
    parts = urlsplit(url)
    standard = STANDARD_PORTS.get(parts.scheme)
    if parts.port is None and standard is not None:
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc}:{standard}"))
    elif parts.port == standard:
        yield urlunsplit(parts._replace(netloc=parts.netloc.removesuffix(f":{standard}")))


def render(step: pb.CarrierStep, media_url: str, public_url: str) -> str:
    """What the carrier shall do, as TwiML."""
    match step.WhichOneof("step"):
        case "connect":
            return _document(_connect(step.connect, media_url, public_url))
        case "say":
            language = f" language={quoteattr(step.say.language)}" if step.say.HasField("language") else ""
            return _document(f"<Say{language}>{escape(step.say.text)}</Say><Hangup/>")
        case "reject":
            return _document(f"<Reject reason={quoteattr(step.reject.reason)}/>")
        case _:
            return _document("<Hangup/>")


def _connect(connect: pb.ConnectStream, media_url: str, public_url: str) -> str:
    action = quoteattr(f"{public_url}/twilio/voice/next/{connect.call_id}")
    stream = quoteattr(f"{media_url}/media/twilio")
    # Twilio strips the query from a stream's URL: what the stream must show travels as a parameter.
    token = f'<Parameter name="token" value={quoteattr(connect.token)}/>'
    return f"<Connect action={action}><Stream url={stream}>{token}</Stream></Connect>"


def say(text: str) -> str:
    """Say a sentence and hang up."""
    return _document(f"<Say>{escape(text)}</Say><Hangup/>")


def _document(verbs: str) -> str:
    return f"{HEAD}<Response>{verbs}</Response>"
