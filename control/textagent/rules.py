"""Whether the AI answers a text, and what its answer may be.  Pure."""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import pairwise

from control.base.job import Job
from control.texts import gate, segments
from control.texts.gate import Wait

#: A turn: the model is asked, and what it wants is done.  Its own count of attempts is in its row, and smaller.
TURN = Job("text_turn", concurrency=32, per_organization=8, priority=90, timeout_seconds=180, attempts=12)

#: However long somebody goes on writing, an answer is begun so long after the first text.
CEILING = timedelta(seconds=10)
WINDOW, DAY = timedelta(minutes=10), timedelta(days=1)
#: What the agent reads of a thread: messages, characters of each, and in all.
HISTORY_MESSAGES, HISTORY_MESSAGE_CHARS, HISTORY_CHARS = 60, 2_000, 20_000
#: So often a turn may be dropped, one after another, because somebody wrote meanwhile; then they get the answer.
#: Somebody who writes faster than the model answers is answered too.
SUPERSEDED = "newer_text"
#: So many texts in a row with the same words, or each within a moment of our answer, come from a machine.
SAME_WORDS, AT_ONCE, MOMENT = 3, 6, timedelta(seconds=3)
#: So many turns in a window are enough with a number at which another agent of this deployment answers.
TURNS_WITH_OUR_OWN = 6
#: A text of these statuses says nothing to the contact, or does so later.
UNSAID = frozenset({"scheduled", "canceled", "failed"})
ELLIPSIS = "\u2026"


@dataclass(frozen=True, slots=True)
class Config:
    """`sms_config_json`, with its defaults."""

    max_reply_chars: int = 1600
    debounce_ms: int = 3000
    max_turns_per_window: int = 30
    max_messages_per_run: int = 3
    max_tool_calls_per_turn: int = 8
    max_pending_followups: int = 3
    fallback_message: str | None = None


def config(text: str | None) -> Config:
    """A flow's configuration.  What is in it was checked when it was stored."""
    stored = json.loads(text or "{}")
    known = {each.name for each in fields(Config)}
    return Config(**{name: value for name, value in stored.items() if name in known})


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the deployment."""

    turns_per_pair: int
    turns_per_organization: int
    attempts: int
    reply_segments: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How many turns asked the model: of the thread in its window, and of the thread and the organization in a day."""

    in_window: int
    of_pair: int
    of_organization: int


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the thread."""

    direction: str
    body: str
    at: datetime
    sent_by: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether the model is asked."""

    is_paused: bool
    is_blocked: bool
    #: Whether the contact's number is answered by an agent of this deployment.
    is_our_own: bool
    #: What would become of a text now.
    gate: gate.Decision
    #: None: no flow answers here.
    config: Config | None
    counts: Counts
    history: Sequence[Said]
    attempts: int


@dataclass(frozen=True, slots=True)
class Go:
    """Ask the model."""


@dataclass(frozen=True, slots=True)
class Silent:
    """Answer nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Answer then: in these hours nobody is texted."""

    at: datetime


@dataclass(frozen=True, slots=True)
class HandOver:
    """A person has to answer; `falls_back`: the flow's fallback message is sent first."""

    reason: str
    falls_back: bool = False


Decision = Go | Silent | Later | HandOver


def before(facts: Facts, limits: Limits) -> Decision:
    """What to do with a turn that is due."""
    if facts.config is None:
        return Silent("no_flow")
    if facts.is_paused:
        return Silent("paused")
    if facts.is_blocked:
        return Silent("blocked")
    if isinstance(facts.gate, gate.Stop):
        return Silent(facts.gate.reason)
    theirs = [each for each in facts.history if each.direction == "inbound"]
    if not theirs or facts.history[-1].sent_by in ("human", "api"):
        return Silent("answered")
    if is_auto_reply(theirs[-1].body):
        return Silent("auto_reply")
    if isinstance(facts.gate, Wait):
        return Later(facts.gate.until)
    if loops(facts.history):
        return HandOver("loop")
    if reason := over(facts.counts, facts.config, limits, is_our_own=facts.is_our_own):
        return HandOver(reason)
    return HandOver("model_failed", falls_back=True) if facts.attempts > limits.attempts else Go()


def over(counts: Counts, config: Config, limits: Limits, *, is_our_own: bool) -> str | None:
    """The limit that is reached, as the reason for which a person gets the conversation."""
    most = min(config.max_turns_per_window, TURNS_WITH_OUR_OWN) if is_our_own else config.max_turns_per_window
    if counts.in_window >= most:
        return "loop" if is_our_own else "turn_cap"
    if counts.of_pair >= limits.turns_per_pair:
        return "pair_cap"
    return "organization_cap" if counts.of_organization >= limits.turns_per_organization else None


_AUTO = re.compile(
    r"^\W*(?:this is an? )?auto(?:mat(?:ed|ic))?[ -]?(?:reply|response|message|sms|text)\b"
    r"|\bthis (?:is an automated|message was sent automatically|mailbox is not monitored|number is not monitored)\b"
    r"|^\W*out of (?:the )?office\b"
    r"|\bauto[- ]submitted\b",
    re.IGNORECASE,
)
# A person may say these, too: only as the whole of what is said, or with the promises of a telephone behind it.
_AWAY = re.compile(
    r"\W*(?:sorry\W+|hi\W+|hello\W+)?i(?:['\u2019]m| am) "
    r"(?:driving|currently out of (?:the )?office|away from my phone)(?: with [\w ]{1,40} turned on| right now| at the moment| now)?"
    r"(?: until [\w ,.]{1,40})?"
    r"(?:\W*|\W+(?:and )?(?:(?:i(?:['\u2019]ll| will)|will) (?:get back|see|read|reply|respond|answer|call|text|talk)|sent from)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_NOBODY_READS = re.compile(r"\bdo not reply to this (?:message|text|number)\b", re.IGNORECASE)


def is_auto_reply(body: str) -> bool:
    """Whether a machine says that its owner is away, or that nobody reads answers."""
    if _AUTO.search(body) is not None:
        return True
    return "?" not in body and (_AWAY.fullmatch(body) or _NOBODY_READS.search(body)) is not None


def loops(history: Sequence[Said]) -> bool:
    """Whether whoever writes is a machine that answers for ever: it repeats itself, or answers each text within a moment."""
    theirs = [_words(each.body) for each in history if each.direction == "inbound"][-SAME_WORDS:]
    ours = [each for each in history if each.direction == "outbound"]
    if len(theirs) == SAME_WORDS and theirs[0] and len(set(theirs)) == 1 and len(ours) >= SAME_WORDS - 1:
        return True
    answers = [
        later.at - earlier.at
        for earlier, later in pairwise(history)
        if (earlier.direction, later.direction) == ("outbound", "inbound")
    ][-AT_ONCE:]
    return len(answers) == AT_ONCE and max(answers) < MOMENT


def _words(body: str) -> str:
    """Its words alone; empty for pictures and emojis, which may all differ."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", body).casefold()))


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What has become of the conversation while the model was asked."""

    is_paused: bool
    is_blocked: bool
    gate: gate.Decision
    #: Somebody of the team has written.
    human_wrote: bool
    #: The contact has written.
    newer_text: bool
    #: The turn before this one was dropped for that.
    dropped_before: bool
    #: One of this turn's tools has done something: the next turn must read that it is done.
    has_acted: bool


def after(now: Meanwhile) -> str | None:
    """Why the agent's answer is not sent; None: it is."""
    if now.human_wrote:
        return "human_replied"
    if now.is_paused:
        return "paused"
    if now.is_blocked:
        return "blocked"
    if isinstance(now.gate, gate.Stop):
        return now.gate.reason
    return SUPERSEDED if now.newer_text and not (now.dropped_before or now.has_acted) else None


# --- the reply ----------------------------------------------------------------------------------------------------

_PLAIN = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "\u00a0": " ",
    }
    | {"\u202f": " ", "\u2022": "-", "`": "'", "\t": " "}
)
_LINK = re.compile(r"\[([^\]\n]{1,200})\]\((\S{1,500}?)\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.{1,500}?)(?<=\S)\1")
_HEADING = re.compile(r"^#{1,6} +", re.MULTILINE)


def plain(text: str) -> str:
    """A reply as a telephone shows it: without markup, and with typewriter quotes, which cost less than half."""
    text = _LINK.sub(lambda match: match[2] if match[1] == match[2] else f"{match[1]}: {match[2]}", text)
    text = _HEADING.sub("", _STRONG.sub(r"\2", text)).translate(_PLAIN)
    return "".join(char for char in text if char == "\n" or unicodedata.category(char) != "Cc").strip()


def fits(text: str, max_chars: int, max_segments: int) -> bool:
    return len(text) <= max_chars and segments.count(text) <= max_segments


def cut(text: str, max_chars: int, max_segments: int) -> str:
    """The beginning of a reply that is too long, up to the end of a sentence, or else of a word; it is never two texts."""
    if fits(text, max_chars, max_segments):
        return text
    least, most = 0, min(len(text), max_chars)
    while least < most:  # the longest beginning that fits
        middle = (least + most + 1) // 2
        least, most = (middle, most) if segments.count(text[:middle]) <= max_segments else (least, middle - 1)
    kept = text[:least]
    sentences = [match.end() for match in re.finditer(r"[.!?\u3002](?=\s|$)", kept)]
    if sentences and sentences[-1] >= least // 2:
        return kept[: sentences[-1]]
    return (
        (kept[:-3].rsplit(None, 1)[0] if " " in kept[:-3] else kept[:-3]).rstrip(" ,;:") + "..." if least > 3 else kept
    )
