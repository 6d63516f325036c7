"""TwiML, and the carrier's forms.  Pure."""

from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from hum.carrier import Parameters
from hum.v1 import runtime_pb2 as pb

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
EMPTY = f"{HEAD}<Response/>"


def form(body: bytes) -> Parameters:
    """A form body's parameters, blank ones too: they are signed."""
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)


def render(step: pb.CarrierStep, media_url: str, public_url: str) -> str:
    """The carrier's next step, as TwiML."""
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
