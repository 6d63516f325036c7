"""Sessions of a duplex model, which is not asked for responses but told things: rules, facts, and what to say.

A session gets the conversation so far with its beginning, and can't be sent more of it later; what follows is told as facts.  What
is to be told before the server has confirmed the session waits for that.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from media.core.calltranscript import CallTranscript
from media.core.modelmessages import Author, BeginSession, Tell
from media.core.plans import AgentPlan
from media.core.runningtools import GOES_ON
from media.core.session import Session, instructions
from media.core.types import Emit

#: Bytes of a text that is told in one piece: the services count tokens, of which these are surely fewer than 500.
LONGEST_PIECE: Final = 1_200
#: Of a conversation so far: messages, and bytes of all together, likewise.
MOST_MESSAGES, MOST_HISTORY = 120, 20_000
#: Told before a session has begun.
MOST_WAITING: Final = 100
CONTEXT: Final = "What is known of the caller has changed. From now on it is this:\n"
SAID: Final = "You have said this to the caller just now, so do not say it again: "
HEARD_OF_IT: Final = "You were interrupted in what you said first. The caller has heard no more of it than this: "
CALLER: Final = "The caller did this: "
ENDS: Final = "The call is about to end. Say goodbye to the caller in one short sentence that fits this result, and nothing else: "
ENDS_SILENTLY: Final = "The call ends now. Say nothing more."
FAILED: Final = (
    "This has come to no good end. Tell the caller so, apologize, and offer what else you can do. What happened: "
)
DONE: Final = "This came of a task that the caller has spoken since. The answer to what they want now follows: "
NOTHING_TO_SAY: Final = "This was done. There is nothing to say about it."


class DuplexSession(Session):
    """The session of a `DuplexModel`."""

    __slots__ = ("_promised", "_waiting", "has_said_farewell", "is_asked")

    def __init__(self, agent: AgentPlan, session_ms: int, transcript: CallTranscript, emit: Emit) -> None:
        super().__init__(agent, session_ms, transcript, emit)
        self.is_asked = False  # to say something that it has not begun to
        # The call ends, and whoever ended it knows that the model has said goodbye already.
        self.has_said_farewell = False
        self._waiting: list[Tell] = []
        # Texts of ours that stood in the conversation before they were heard.
        self._promised: list[str] = []

    def tell(self, how: Literal["rule", "fact", "say"], text: str, delegation_id: str | None = None) -> None:
        """Tell the model this, in pieces if it is long: all but the last of them as facts."""
        self.is_asked = self.is_asked or how == "say"
        *before, last = pieces(text)
        for piece in before:
            self._tell(Tell("rule" if how == "rule" else "fact", piece, delegation_id))
        self._tell(Tell(how, last, delegation_id))

    def _tell(self, tell: Tell) -> None:
        if self.confirmed:
            self.send(tell)
        elif self.ready and len(self._waiting) < MOST_WAITING:
            self._waiting.append(tell)

    def confirm(self) -> None:
        super().confirm()
        waiting, self._waiting = self._waiting, []
        for tell in waiting:
            self.send(tell)

    def discard(self) -> None:
        super().discard()
        self.is_asked = False
        self._waiting.clear()
        self._promised.clear()

    def add_message(self, author: Author, text: str) -> None:
        self.tell("fact", CALLER + text if author == "caller" else text)

    def send_context(self) -> None:
        self.tell("rule", CONTEXT + self._agent.caller_context)

    def promise(self, text: str) -> None:
        """Count a text of ours as said already in the session that opens next: its audio is being played."""
        self._promised.append(text)

    def begin(self) -> None:
        so_far = [*self._transcript.history(), *[("agent", text) for text in self._promised]]
        self.send(BeginSession(instructions(self._agent), history=newest(so_far)))

    def add_agent_text(self, text: str, *, filler: bool) -> None:
        for promised in self._promised:
            if promised.startswith(text.strip()):
                self._promised.remove(promised)
                if len(text.strip()) < len(promised.strip()):
                    self.tell("fact", HEARD_OF_IT + text)
                return
        if not filler:
            self.tell("fact", SAID + text)

    def truncate_item(self, item_id: str, heard_ms: int) -> None:
        """Do nothing: such a model believes that all that it sent was heard."""

    def answer_tool(self, tool_call_id: str, output_json: str, *, awaited: bool = True) -> None:
        words = answer(output_json)
        if awaited and words:
            self.tell("say", words, tool_call_id)
        else:
            self.tell("fact", DONE + words if words else NOTHING_TO_SAY, tool_call_id)

    def revoke_end(self, tool_call_id: str) -> None:
        self.has_said_farewell = False
        self.tell("fact", GOES_ON, tool_call_id)

    def announce_end(self, tool_call_id: str, output_json: str) -> None:
        if words := answer(output_json):
            self.tell("say", ENDS + words, tool_call_id)
        else:
            self.has_said_farewell = True
            self.tell("fact", ENDS_SILENTLY, tool_call_id)


def answer(output_json: str) -> str:
    """Return what the model is to say of a tool's result: its `say`, which may be empty, why it failed, or all of it."""
    try:
        output: Any = msgspec.json.decode(output_json)
    except (msgspec.DecodeError, RecursionError):
        return output_json
    if isinstance(output, Mapping):
        text, error = output.get("say"), output.get("error")
        if isinstance(text, str):
            return text.strip()
        if isinstance(error, str):
            return FAILED + error
    return output_json


def pieces(text: str) -> list[str]:
    """Split a text into pieces of at most LONGEST_PIECE bytes, at spaces where there are any; at least one."""
    found: list[str] = []
    while len(text.encode()) > LONGEST_PIECE:
        piece = text.encode()[:LONGEST_PIECE].decode(errors="ignore")
        space = piece.rfind(" ")
        piece = piece[: space + 1] if space > 0 else piece
        found.append(piece)
        text = text[len(piece) :]
    return [*found, text]


def newest(messages: list[tuple[Author, str]]) -> tuple[tuple[Author, str], ...]:
    """Return the newest messages of a conversation, as many as a session takes, oldest first."""
    kept: list[tuple[Author, str]] = []
    size = 0
    for author, text in reversed(messages[-MOST_MESSAGES:]):
        size += len(text.encode())
        if size > MOST_HISTORY:
            break
        kept.append((author, text))
    return tuple(reversed(kept))
