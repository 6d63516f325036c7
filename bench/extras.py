"""The command python -m bench.extras: the cost of a tool in every turn, a recording, a flow switch and a transfer beside a bare call.

The core's own CPU time, measured around each call of the conversation, in virtual time; sockets and the stand-ins do not
count.  The variants take turns within each round, and each is compared with the bare call of its own round.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hum.process import blas
from media import native
from media.core.commands import Sequel, SwitchFlow
from media.core.legmessages import MoveOn
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.types import Action, RunTool
from sandbox.openai import Turn
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, World, calls

TURN_MS, SPEECH_MS = 6_000, 1_200
LOOK_UP = Tool("look_up", "", '{"type":"object"}', 4_000)
BARE = call_plan(
    "You answer the phone.",
    TurnModel("gpt-realtime", "marin", "t"),
    prompts={PromptKind.HOLD: Prompt("One moment, please.", bytes(8_000))},
    tools=(LOOK_UP,),
)
#: The plan, the tool's result for each turn that has one, and whether the call is recorded.
VARIANTS: dict[str, tuple[CallPlan, Callable[[int, int], Sequel | None] | None]] = {
    "bare": (BARE, None),
    "recorded": (changed(BARE, recording=True), None),
    "a tool in every turn": (BARE, lambda _, __: None),
    "handed to another flow in the middle": (
        BARE,
        lambda turn, of: SwitchFlow(BARE, "flow_b", 1) if turn == of // 2 else None,
    ),
    "transferred at the end": (BARE, lambda turn, of: MoveOn("transfer") if turn == of - 1 else None),
    "all of it": (
        changed(BARE, recording=True),
        lambda turn, of: dict[int, Sequel]({of // 2: SwitchFlow(BARE, "flow_b", 1), of - 1: MoveOn("transfer")}).get(
            turn
        ),
    ),
}
EVERY_TURN = ("a tool in every turn", "all of it")


class Timed:
    """A conversation that measures the CPU time of its methods."""

    def __init__(self, talk: Any) -> None:
        self._talk = talk
        self.spent_ns = 0

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._talk, name)
        if not callable(member):
            return member

        def timed(*arguments: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return member(*arguments)
            finally:
                self.spent_ns += time.thread_time_ns() - began

        return timed


def measure(name: str, turns: int) -> float:
    """Return the core's CPU time of one call, in ms per second of call."""
    plan, result = VARIANTS[name]
    phone = Phone(World(), plan)
    timed = phone.talk = Timed(phone.talk)  # type: ignore[assignment]
    phone.after(1_000)
    answered = 0
    for turn in range(turns):
        calls_tool = result is not None and (name in EVERY_TURN or result(turn, turns) is not None)
        phone.model.player.turns = [calls("look_up"), Turn(say="words")] if calls_tool else [Turn(say="words")]
        phone.speak(SPEECH_MS)
        until = phone.world.now + TURN_MS
        while phone.world.now < until and phone.hung_up is None:
            phone.after(100)
            runs = [action for _, action in phone.actions if isinstance(action, RunTool)]
            for run in runs[answered:]:
                answered += 1
                done: list[Action] = phone.talk.tool_result(
                    run.tool_call_id, "{}", "ok", phone.world.now, result(turn, turns) if result else None
                )
                phone.carry(done)
    seconds = phone.world.now / 1000
    expected = 0 if result is None else turns if name in EVERY_TURN else 1
    assert answered == expected, f"{name}: {answered} tools were called, not {expected}"
    return float(timed.spent_ns / 1e6 / seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.extras", description=__doc__)
    parser.add_argument("--turns", type=int, default=10, help="turns of 6 s in each call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    measure("all of it", 2)  # warm
    figures: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(options.rounds):
        for name in VARIANTS:
            figures[name].append(measure(name, options.turns))
    core = "compiled" if native.prefer() else "interpreted"
    print(f"{platform.machine()}, Python {platform.python_version()}, core {core}, BLAS {blas.description()}")
    for name, values in figures.items():
        ratio = statistics.median(value / bare for value, bare in zip(values, figures["bare"], strict=True))
        print(f"{name:<40} {statistics.median(values):6.3f} ms a second of call, {ratio:5.2f} times the bare call")
    if options.json:
        options.json.write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
