"""TwiML documents → verbs.  Pure."""

from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

VERBS = {"Say", "Play", "Pause", "Hangup", "Reject", "Redirect", "Connect", "Dial", "Gather"}
PROMPTS = {"Say", "Play", "Pause"}
XML_TYPES = {"", "text/xml", "application/xml", "text/html"}


class BadTwiml(Exception):  # noqa: N818  (it says what is bad)
    """The document cannot be executed; `code` is the carrier's debugger code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Verb:
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    nouns: tuple["Verb", ...] = ()

    def get(self, attribute: str, default: str = "") -> str:
        return self.attributes.get(attribute, default)

    def noun(self, name: str) -> "Verb | None":
        return next((each for each in self.nouns if each.name == name), None)


def parse(document: str | bytes, content_type: str = "text/xml") -> list[Verb]:
    """The verbs of a <Response>.  Raises BadTwiml: 12300 content type, 12100 no XML or no Response, 12200 bad verb."""
    if content_type.partition(";")[0].strip().lower() not in XML_TYPES:
        raise BadTwiml(12300, f"Invalid Content-Type: {content_type}")
    try:
        root = ET.fromstring(document)  # noqa: S314  (from our own gateway or a test)
    except ET.ParseError as error:
        raise BadTwiml(12100, f"Document parse failure: {error}") from error
    if root.tag != "Response":
        raise BadTwiml(12100, f"Document parse failure: the root is <{root.tag}>, not <Response>")
    verbs = [_verb(each) for each in root]
    for verb in verbs:
        _check(verb)
    return verbs


def _verb(element: ET.Element) -> Verb:
    nouns = tuple(_verb(each) for each in element)
    return Verb(str(element.tag), dict(element.attrib), "".join(element.itertext()).strip(), nouns)


def _check(verb: Verb) -> None:
    if verb.name not in VERBS:
        raise BadTwiml(12200, f"<{verb.name}> is not a verb that this carrier executes")
    if verb.name == "Connect":
        stream = verb.noun("Stream")
        if stream is None or not stream.get("url"):
            raise BadTwiml(12200, "<Connect> needs a <Stream url>")
    if verb.name == "Gather" and not {each.name for each in verb.nouns} <= PROMPTS:
        raise BadTwiml(12200, "<Gather> holds only <Say>, <Play> and <Pause>")
    if verb.name == "Dial" and not dialled(verb):
        raise BadTwiml(12200, "<Dial> needs a number")


def dialled(verb: Verb) -> str:
    """The number that a <Dial> calls."""
    number = verb.noun("Number")
    return number.text if number else verb.text


def parameters(stream: Verb) -> dict[str, str]:
    """The custom parameters of a <Stream>, as `start` carries them."""
    return {each.get("name"): each.get("value") for each in stream.nouns if each.name == "Parameter"}
