"""TwiML: the next steps of a call as the carrier reads them.  Pure."""

import re
from xml.sax.saxutils import escape, quoteattr

from hum.connectionoverrides import OVERRIDES
from hum.v1 import runtime_pb2 as pb

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
EMPTY = f"{HEAD}<Response/>"
#: The longest that a transferred call lasts after its answer: as long as the longest call of any flow
#: (`max_call_seconds`).  The carrier's own limit is the account's, and may be a day.
LONGEST_DIAL_SECONDS = 14_400
#: Characters that XML 1.0 forbids: the carrier would refuse the whole document.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(step: pb.CarrierStep, media_url: str, public_url: str) -> str:
    """Return the carrier's next step as TwiML."""
    match step.WhichOneof("step"):
        case "connect":
            return _document(_connect(step.connect, media_url, public_url))
        case "say":
            return _document(f"{_spoken(step.say)}<Hangup/>")
        case "reject":
            return _document(f"<Reject reason={quoteattr(step.reject.reason)}/>")
        case "dial":
            return _document(_dial(step.dial, public_url))
        case _:
            return _document("<Hangup/>")


def _connect(connect: pb.ConnectStream, media_url: str, public_url: str) -> str:
    action = quoteattr(f"{public_url}/twilio/voice/next/{connect.call_id}{OVERRIDES}")
    stream = quoteattr(f"{connect.media_url or media_url}/media/twilio")
    # Twilio strips the query from a stream's URL, so the token travels as a parameter.
    token = f'<Parameter name="token" value={quoteattr(connect.token)}/>'
    first = _spoken(connect.say_first) if connect.HasField("say_first") else ""
    return f"{first}<Connect action={action}><Stream url={stream}>{token}</Stream></Connect>"


def _spoken(speech: pb.SayAndHangUp | pb.SayFirst) -> str:
    return _say(speech.text, speech.language if speech.HasField("language") else "")


def _dial(dial: pb.DialPerson, public_url: str) -> str:
    """Return the verb that dials a person; the caller hears ringing until connected, also during the whisper."""
    action = f"{public_url}/twilio/voice/transfer/{dial.transfer_id}"
    whisper = f" url={quoteattr(whisper_url(public_url, dial.transfer_id))}" if dial.whispers else ""
    status = f'statusCallback={quoteattr(f"{action}/status{OVERRIDES}")} statusCallbackEvent="answered"'
    return (
        f'<Dial action={quoteattr(action + OVERRIDES)} timeout="{dial.ring_seconds}" timeLimit="{LONGEST_DIAL_SECONDS}" '
        f'callerId={quoteattr(dial.caller_id_e164)} answerOnBridge="true">'
        f"<Number{whisper} {status}>{escape(dial.to_e164)}</Number></Dial>"
    )


def whisper_url(public_url: str, transfer_id: str) -> str:
    """Return the URL that the carrier asks for a transfer's whisper, and to which it reports the pressed key."""
    return f"{public_url}/twilio/voice/whisper/{transfer_id}{OVERRIDES}"


def whisper(step: pb.WhisperResponse, url: str) -> str:
    """Return what the person who answered hears, as TwiML.  If it ends without a hang-up, they are connected.

    They are asked for the key twice: people who pick up a telephone miss the first words.
    """
    match step.WhichOneof("step"):
        case "connect":
            return EMPTY
        case "say":
            speech = step.say
            if not speech.prompt:
                return _document(_say(speech.text, speech.language))
            gather = f'<Gather numDigits="1" timeout="{speech.key_seconds}" action={quoteattr(url)}>'
            first, again = (_say(text, speech.language) for text in (f"{speech.text} {speech.prompt}", speech.prompt))
            return _document(f"{gather}{first}</Gather>{gather}{again}</Gather><Hangup/>")
        case _:
            return _document("<Hangup/>")


def hang_up() -> str:
    return _document("<Hangup/>")


def say(text: str) -> str:
    """Return TwiML that says a sentence and hangs up."""
    return _document(f"{_say(text)}<Hangup/>")


def _say(text: str, language: str = "") -> str:
    attribute = f" language={quoteattr(language)}" if language else ""
    return f"<Say{attribute}>{escape(_NO_XML.sub(' ', text))}</Say>"


def _document(verbs: str) -> str:
    return f"{HEAD}<Response>{verbs}</Response>"
