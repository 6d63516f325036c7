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
        return next((noun for noun in self.nouns if noun.name == name), None)


def parse(document: str | bytes, content_type: str = "text/xml") -> list[Verb]:
    """Parse the verbs of a <Response>.

    Raises BadTwiml: 12300 content type, 12100 no XML or no Response, 12200 bad verb.
    """
    if content_type.partition(";")[0].strip().lower() not in XML_TYPES:
        raise BadTwiml(12300, f"Invalid Content-Type: {content_type}")
    try:
        # The document comes from our own gateway or a test.
        root = ET.fromstring(document)  # noqa: S314
    except ET.ParseError as error:
        raise BadTwiml(12100, f"Document parse failure: {error}") from error
    if root.tag != "Response":
        raise BadTwiml(12100, f"Document parse failure: the root is <{root.tag}>, not <Response>")
    verbs = [_verb(element) for element in root]
    for verb in verbs:
        _check(verb)
    return verbs


def _verb(element: ET.Element) -> Verb:
    nouns = tuple(_verb(child) for child in element)
    return Verb(str(element.tag), dict(element.attrib), "".join(element.itertext()).strip(), nouns)


def _check(verb: Verb) -> None:
    if verb.name not in VERBS:
        raise BadTwiml(12200, f"<{verb.name}> is not a verb that this carrier executes")
    if verb.name == "Connect":
        stream = verb.noun("Stream")
        if stream is None or not stream.get("url"):
            raise BadTwiml(12200, "<Connect> needs a <Stream url>")
    if verb.name == "Gather" and not {noun.name for noun in verb.nouns} <= PROMPTS:
        raise BadTwiml(12200, "<Gather> contains only <Say>, <Play> and <Pause>")
    if verb.name == "Dial" and not dialled(verb):
        raise BadTwiml(12200, "<Dial> needs a number")


def dialled(verb: Verb) -> str:
    """Return the number that a <Dial> calls."""
    number = verb.noun("Number")
    return number.text if number else verb.text


def parameters(stream: Verb) -> dict[str, str]:
    """Return the custom parameters of a <Stream>, as `start` carries them."""
    return {noun.get("name"): noun.get("value") for noun in stream.nouns if noun.name == "Parameter"}
