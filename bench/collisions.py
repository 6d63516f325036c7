"""The command python -m bench.collisions: how often the agent speaks into a caller who pauses in the middle of a turn.

A caller speaks in pieces with pauses of any length, some as long as a turn's end, and waits for the answer; the model is as slow
as real ones.  Whole calls in virtual time, with the sandbox's carrier, model and voices, and with the detector over the agent.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random

from media.core.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from media.core.modelmessages import RequestResponse, TurnModel
from media.core.onsetdetector import Confirm
from media.core.types import BargedIn, ToModel, TurnEnded
from media.io.silero import Silero
from sandbox.openai.script import Turn
from sandbox.speech import Speech
from tests.support.plans import call_plan, changed
from tests.support.sentences import spoken
from tests.support.simulation import Phone, World

PLAN = call_plan("Be brief.", TurnModel("gpt-realtime", "alloy", "gpt-4o-mini-transcribe"), idle_gaps_ms=(12_000,))
#: Between the pieces of a turn; the stand-in ends a turn after 300.
PAUSES_MS = (200, 1_600)
#: The model's, from the request to the first audio.
LATENCY_MS = (150, 900)
PIECES = (2, 4)
TURNS_PER_CALL = 10
ONE_WAY_MS, JITTER_MS = 40.0, 15.0
#: Simultaneous starts are unavoidable within the p99 of an onset, the way of the sound and that of the clear.
UNKNOWABLE_MS = 160 + 2 * (ONE_WAY_MS + JITTER_MS) + FRAME_MS
#: A caller who heard less than UNAWARE_MS of the agent in the last RECENT_MS did not intend to interrupt it.
UNAWARE_MS, RECENT_MS = 200, 2_000
PATIENCE_MS = 12_000
REST_MS = 400.0  # silence that ends an answer
SILENCE = b"\xff" * FRAME_BYTES


@dataclass(slots=True)
class Collisions:
    """Failures in a caller's turns; all but simultaneous starts are avoidable."""

    turns: int = 0
    #: How long the caller had been speaking when the agent began.
    into_ms: list[float] = field(default_factory=list)
    #: The agent began within UNKNOWABLE_MS.
    at_once: int = 0
    #: The agent resumed in a pause of a caller who did interrupt it.
    resumed: int = 0
    #: Interruptions in the record, although the caller never interrupts.
    recorded: int = 0
    #: Turns of the agent that were not heard at all.
    empty: int = 0
    #: Turns without an answer within PATIENCE_MS.
    unanswered: int = 0
    #: Last answers requested before the caller's last words were in the conversation.
    stale: int = 0
    #: From the caller's last sound to the answer's first.
    wait_ms: list[float] = field(default_factory=list)

    def failed(self) -> int:
        return len(self.into_ms) + self.recorded + self.empty + self.unanswered + self.stale

    def add(self, other: "Collisions") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Caller:
    """One call; `pieces` are the caller's utterances, in frames."""

    def __init__(
        self, pieces: Sequence[list[bytes]], seed: int, confirm: Confirm | None = None, **plan: object
    ) -> None:
        self._random = Random(seed)
        self._pieces = pieces
        self.world = World()
        self.phone = Phone(self.world, changed(PLAN, **plan), ONE_WAY_MS, JITTER_MS, seed, confirm, answer_ms=2_500)
        self.collisions = Collisions()
        # The start of the call's clock.
        self._answered_ms = self.world.now
        # Spans of the caller's speech, on the carrier's clock.
        self._spoken: list[tuple[float, float]] = []
        self.phone.after(800)

    def turn(self) -> None:
        """Speak in pieces, then listen to the answer to its end."""
        random, phone = self._random, self.phone
        phone.model.player.turns = [Turn(say="words", latency_ms=random.uniform(*LATENCY_MS)) for _ in range(8)]
        for number in range(random.randint(*PIECES)):
            if number:
                phone.after(random.uniform(*PAUSES_MS))
            piece = random.choice(self._pieces)
            began = self.world.now
            phone.frames += piece
            while phone.frames:
                phone.after(FRAME_MS)
            self._spoken.append((began, self.world.now))
        self.collisions.turns += 1
        self._listen()

    def _listen(self) -> None:
        until, quiet_ms, ended = self.world.now + PATIENCE_MS, 0.0, self._spoken[-1][1]
        while self.world.now < until:
            self.phone.after(FRAME_MS)
            last = self.phone.carrier.played[-1:]
            ends = last[0][0] + len(last[0][1]) / 8 if last else 0.0
            quiet_ms = self.world.now - ends
            if ends > ended + REST_MS and quiet_ms > REST_MS:
                began = min(start for start, audio in self.phone.carrier.played if start + len(audio) / 8 > ended)
                self.collisions.wait_ms.append(began - ended)
                self._check_last_answer()
                return
        self.collisions.unanswered += 1

    def _check_last_answer(self) -> None:
        requested = [
            at
            for at, act in self.phone.actions
            if isinstance(act, ToModel) and isinstance(act.command, RequestResponse)
        ]
        # The stand-in ends a turn 300 ms after its last sound.
        self.collisions.stale += not requested or requested[-1] < self._spoken[-1][1]

    def finish(self) -> Collisions:
        self.phone.after(1_000)
        self.phone.carrier.stop()
        self.phone.after(300)
        collisions = self.collisions
        for start, _ in self.phone.carrier.played:
            for began, ended in self._spoken:
                if began < start < ended:
                    late_ms = start - began
                    if late_ms <= UNKNOWABLE_MS:
                        collisions.at_once += 1
                    elif self._interrupts(began):
                        collisions.resumed += 1
                    else:
                        collisions.into_ms.append(late_ms)
        collisions.recorded = sum(not self._was_intended(overlap.at_ms) for overlap in self.phone.told(BargedIn))
        collisions.empty = sum(turn.role == "agent" and not turn.heard_text for turn in self.phone.told(TurnEnded))
        return collisions

    def _was_intended(self, at_ms: int) -> bool:
        """Return whether the caller, heard over the agent at `at_ms` on the call's clock, had heard the agent before."""
        at = self._answered_ms + at_ms
        return self._interrupts(max(start for start, _ in self._spoken if start < at))

    def _interrupts(self, began: float) -> bool:
        """Return whether a caller who began then had heard the agent speak."""
        heard = self.phone.carrier.heard_between(began - RECENT_MS, began)
        return len(heard.replace(b"\xff", b"")) > UNAWARE_MS * BYTES_PER_MS


def measure(turns: int, pieces: Sequence[list[bytes]], silero: Silero | None, **plan: object) -> Collisions:
    """Run `turns` of callers who say `pieces`, each followed by its answer; return the collisions."""
    collisions = Collisions()
    for seed in range(-(-turns // TURNS_PER_CALL)):
        caller = Caller(pieces, seed, silero.detector() if silero else None, **plan)
        for _ in range(min(TURNS_PER_CALL, turns - collisions.turns)):
            caller.turn()
        collisions.add(caller.finish())
    return collisions


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.collisions", description=__doc__)
    parser.add_argument("--turns", type=int, default=100, help="of callers, each of two to four pieces")
    options = parser.parse_args(argv)
    if not Speech.available():
        print("the sandbox has no voice: pip install -e '.[speech]'", file=sys.stderr)
        return 1
    collisions = measure(options.turns, spoken(), Silero.load())
    waits = sorted(collisions.wait_ms) or [0.0]
    report = asdict(collisions) | {
        "into_ms": [round(ms) for ms in collisions.into_ms],
        "failed": collisions.failed(),
        "wait_ms": {"p50": round(waits[len(waits) // 2]), "p90": round(waits[len(waits) * 9 // 10])},
    }
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
