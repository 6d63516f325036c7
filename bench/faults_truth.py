"""What callers of a disturbed platform heard, and whether its records say so.  Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.twilio import Call

#: What is recorded of a caller who heard a sentence and no agent (docs/call-endings.md).
APOLOGIES = frozenset({("failed", "control_away"), ("failed", "no_capacity"), ("failed", "stream_lost")})
HUNG_UP = ("completed", "caller")


def is_served(call: Call) -> bool:
    """Return whether a caller who has hung up had heard an agent and nothing else."""
    agent = {verb.name for verb in call.verbs} == {"Connect"} and any(
        stream.playout.segments for stream in call.streams
    )
    return agent and call.hung_up_by == "caller" and not call.sentences


def has_true_end(call: Call, record: Mapping[str, Any] | None) -> bool:
    """Return whether the record has the status and the reason of this call's end."""
    if record is None:
        return False
    end = (record["status"], record["end_reason"])
    if call.hung_up_by != "caller":
        return end in APOLOGIES
    streams = [stream for stream in call.streams if stream.started_at is not None]
    if not streams:
        return end == ("canceled", "caller") or (bool(call.sentences) and end in APOLOGIES)
    # Who hangs up while no stream is open has not left the agent: that one was lost.
    was_lost = streams[-1].closed_by != "carrier"
    return end == HUNG_UP or (was_lost and end == ("completed", "stream_lost"))


@dataclass(frozen=True, slots=True)
class Turns:
    """Keys of callers, and the turns in which the agent repeats each.

    `lost`: keys without such a turn.  `again`: turns that repeat a key once more, since the first of them was interrupted.
    """

    keys: int = 0
    lost: int = 0
    again: int = 0
    turns: int = 0
    doubled: int = 0

    def __add__(self, other: "Turns") -> "Turns":
        return Turns(
            self.keys + other.keys,
            self.lost + other.lost,
            self.again + other.again,
            self.turns + other.turns,
            self.doubled + other.doubled,
        )

    @classmethod
    def of(cls, keys: Sequence[str], due: int, turns: Sequence[Mapping[str, Any]]) -> "Turns":
        """Compare the keys of one call with its record, which must have an answer to each of the first `due` keys."""
        ordered = sorted(turns, key=lambda turn: int(turn["seq"]))
        said = " ".join(turn["text"] for turn in ordered if turn["role"] == "agent")
        repeated = re.findall(r"entered (\d)", said)
        return cls(
            keys=len(keys),
            lost=due - common(keys[:due], repeated),
            again=len(repeated) - common(keys, repeated),
            turns=len(turns),
            doubled=len(turns) - len({turn["item_id"] for turn in turns}),
        )


def common(keys: Sequence[str], repeated: Sequence[str]) -> int:
    """Return how many keys were repeated, in their order: the length of the longest common subsequence."""
    lengths = [0] * (len(repeated) + 1)
    for key in keys:
        before = 0
        for at, other in enumerate(repeated, 1):
            before, lengths[at] = lengths[at], before + 1 if key == other else max(lengths[at], lengths[at - 1])
    return lengths[-1]
