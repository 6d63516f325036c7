"""The rules of the AI's turns: whether a text is answered, loops and limits, and the form of a reply.  Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from control.base.job import Job
from control.flows.smsconfig import Config
from control.texts import segments, sendgate
from control.texts.sendgate import Wait

#: Runs a turn: asks the model and runs its tools.  The turn's own, lower limit of attempts is counted in its row.
TURN = Job("text_turn", concurrency=32, per_organization=8, priority=90, timeout_seconds=180, attempts=12)

WINDOW, DAY = timedelta(minutes=10), timedelta(days=1)
#: The limits of a thread's history for the agent: messages, characters per message, characters in all.
HISTORY_MESSAGES, HISTORY_MESSAGE_CHARS, HISTORY_CHARS = 60, 2_000, 20_000
#: The reason of a turn dropped because of a newer text.  The next turn is not dropped for it again, so that a contact who writes
#: faster than the model answers gets an answer too.
SUPERSEDED = "newer_text"
#: Thresholds for a machine: consecutive texts with the same words, or consecutive replies within a moment of ours.
SAME_WORDS, AT_ONCE, MOMENT = 3, 6, timedelta(seconds=3)
#: The limit of turns in a window with a number that another agent of this deployment answers.
TURNS_WITH_OUR_OWN = 6
#: The statuses of texts that the contact does not get, or gets later.
UNSAID = frozenset({"scheduled", "canceled", "failed"})
ELLIPSIS = "\u2026"


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """The limits of the deployment."""

    turns_per_pair: int
    turns_per_organization: int
    attempts: int
    reply_segments: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TurnCounts:
    """The turns that asked the model: of the thread in its window, of the thread and the organization in a day."""

    in_window: int
    of_pair: int
    of_organization: int


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message of the thread."""

    direction: str
    body: str
    at: datetime
    sent_by: str | None = None


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """The facts that decide whether the model is asked."""

    is_paused: bool
    is_blocked: bool
    #: An agent of this deployment answers the contact's number.
    is_our_own: bool
    #: The gate's decision on a text now.
    gate: sendgate.Decision
    #: None: no flow answers here.
    config: Config | None
    counts: TurnCounts
    history: Sequence[ThreadMessage]
    attempts: int


@dataclass(frozen=True, slots=True)
class Respond:
    """The decision to ask the model."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """The decision not to answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeferReply:
    """The decision to answer then, when the quiet hours end."""

    at: datetime


@dataclass(frozen=True, slots=True)
class HandOver:
    """The decision that a person must answer; `falls_back`: the flow's fallback message is sent first."""

    reason: str
    falls_back: bool = False


Decision = Respond | NoReply | DeferReply | HandOver


def decide(facts: TurnFacts, limits: TurnLimits) -> Decision:
    """Decide what to do with a due turn."""
    if facts.config is None:
        return NoReply("no_flow")
    if facts.is_paused:
        return NoReply("paused")
    if facts.is_blocked:
        return NoReply("blocked")
    if isinstance(facts.gate, sendgate.Stop):
        return NoReply(facts.gate.reason)
    inbound = [message for message in facts.history if message.direction == "inbound"]
    if not inbound or facts.history[-1].sent_by in ("human", "api"):
        return NoReply("answered")
    if is_auto_reply(inbound[-1].body):
        return NoReply("auto_reply")
    if isinstance(facts.gate, Wait):
        return DeferReply(facts.gate.until)
    if is_loop(facts.history):
        return HandOver("loop")
    if reason := exceeded_limit(facts.counts, facts.config, limits, is_our_own=facts.is_our_own):
        return HandOver(reason)
    return HandOver("model_failed", falls_back=True) if facts.attempts > limits.attempts else Respond()


def exceeded_limit(counts: TurnCounts, config: Config, limits: TurnLimits, *, is_our_own: bool) -> str | None:
    """Return the limit that is reached, as the reason of a hand-over, or None."""
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
# A person may write these, too.  They count only as a whole message, or when followed by a phone's stock promises.
_AWAY = re.compile(
    r"\W*(?:sorry\W+|hi\W+|hello\W+)?i(?:['\u2019]m| am) "
    r"(?:driving|currently out of (?:the )?office|away from my phone)(?: with [\w ]{1,40} turned on| right now| at the moment| now)?"
    r"(?: until [\w ,.]{1,40})?"
    r"(?:\W*|\W+(?:and )?(?:(?:i(?:['\u2019]ll| will)|will) (?:get back|see|read|reply|respond|answer|call|text|talk)|sent from)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_UNREAD = re.compile(r"\bdo not reply to this (?:message|text|number)\b", re.IGNORECASE)


def is_auto_reply(body: str) -> bool:
    """Return whether a text is an automatic reply: its sender is away, or does not read answers."""
    if _AUTO.search(body) is not None:
        return True
    return "?" not in body and (_AWAY.fullmatch(body) or _UNREAD.search(body)) is not None


def is_loop(history: Sequence[ThreadMessage]) -> bool:
    """Return whether the contact seems to be an auto-responder: it repeats itself, or answers each text within a moment."""
    inbound = [_words(message.body) for message in history if message.direction == "inbound"][-SAME_WORDS:]
    outbound = [message for message in history if message.direction == "outbound"]
    if len(inbound) == SAME_WORDS and inbound[0] and len(set(inbound)) == 1 and len(outbound) >= SAME_WORDS - 1:
        return True
    answers = [
        later.at - earlier.at
        for earlier, later in pairwise(history)
        if (earlier.direction, later.direction) == ("outbound", "inbound")
    ][-AT_ONCE:]
    return len(answers) == AT_ONCE and max(answers) < MOMENT


def _words(body: str) -> str:
    """Normalize a message to its words; empty for pictures and emojis, as their repetition proves nothing."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", body).casefold()))


@dataclass(frozen=True, slots=True)
class Recheck:
    """The state of the conversation after the model has answered."""

    is_paused: bool
    is_blocked: bool
    gate: sendgate.Decision
    #: A member of the team has written.
    human_wrote: bool
    #: The contact has written.
    newer_text: bool
    #: The previous turn was dropped because of a newer text.
    dropped_before: bool
    #: One of this turn's tools has acted: its result must not be lost, so the turn is not dropped for a newer text.
    has_acted: bool


def drop_reason(now: Recheck) -> str | None:
    """Return why the agent's answer is not sent, or None if it is."""
    if now.human_wrote:
        return "human_replied"
    if now.is_paused:
        return "paused"
    if now.is_blocked:
        return "blocked"
    if isinstance(now.gate, sendgate.Stop):
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
    """Convert a reply to plain text: without markup, and with typewriter quotes, which keep a text in the GSM alphabet."""
    text = _LINK.sub(lambda match: match[2] if match[1] == match[2] else f"{match[1]}: {match[2]}", text)
    text = _HEADING.sub("", _STRONG.sub(r"\2", text)).translate(_PLAIN)
    return "".join(char for char in text if char == "\n" or unicodedata.category(char) != "Cc").strip()


def fits(text: str, max_chars: int, max_segments: int) -> bool:
    return len(text) <= max_chars and segments.count(text) <= max_segments


def cut(text: str, max_chars: int, max_segments: int) -> str:
    """Cut a reply that is too long, at the end of a sentence or else of a word; the rest is not sent."""
    if fits(text, max_chars, max_segments):
        return text
    least, most = 0, min(len(text), max_chars)
    while least < most:  # the longest beginning that fits
        middle = (least + most + 1) // 2
        least, most = (middle, most) if segments.count(text[:middle]) <= max_segments else (least, middle - 1)
    beginning = text[:least]
    sentences = [match.end() for match in re.finditer(r"[.!?\u3002](?=\s|$)", beginning)]
    if sentences and sentences[-1] >= least // 2:
        return beginning[: sentences[-1]]
    return (
        (beginning[:-3].rsplit(None, 1)[0] if " " in beginning[:-3] else beginning[:-3]).rstrip(" ,;:") + "..."
        if least > 3
        else beginning
    )
