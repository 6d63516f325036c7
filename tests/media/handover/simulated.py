"""A simulated call in which something of everything happens, and that moves in the middle of it."""

from collections.abc import Callable, Sequence
from typing import Any

import webrtcvad

from media.core.commands import Instruct, Say, SwitchFlow, Watch
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import CallPlan, PauseRules, Prompt, PromptKind
from media.handover.snapshot import Shared, pack, unpack
from media.io.silero import Silero
from media.recorder import INLINE
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone, World, calls

PROMPTS: dict[PromptKind, Prompt | tuple[Prompt, ...]] = {
    PromptKind.GREETING: Prompt("Good morning, how may I help?", b"\x21" * 8_000),
    PromptKind.FILLER: (Prompt("One moment.", b"\x22" * 4_000),),
    PromptKind.HOLD: Prompt("Please hold.", b"\x23" * 6_000),
    PromptKind.GOODBYE: Prompt("Goodbye.", b"\x24" * 4_000),
}
TOOL = Tool("stock", "Look something up.", '{"type":"object"}', 2_000)
SILERO = Silero.load()
HERE, ELSEWHERE = Shared(SILERO.network, INLINE), Shared(None, INLINE)


def plan(**changes: Any) -> CallPlan:
    prompts = {kind: prompt for kind, prompt in PROMPTS.items() if not isinstance(prompt, tuple)}
    rules = PauseRules(on_keys=True, phrases=("card number",))
    bare = call_plan(
        "Be kind.", TurnModel("gpt-realtime", "marin", "whisper"), prompts=prompts, tools=(TOOL,), recording=True
    )
    return changed(bare, pauses=rules, **changes)


def renewed(phone: Phone) -> None:
    """What does not travel: the first detector's noise model begins anew."""
    phone.talk._floor.vad._webrtc = webrtcvad.Vad(2)


def moved(phone: Phone) -> None:
    phone.talk = unpack(pack(phone.talk), HERE)


def script(phone: Phone, seed: int) -> None:
    """A call in which something of everything happens."""
    world, at = phone.world, phone.world.now

    def do(ms: int, act: Callable[..., Any]) -> None:
        world.at(at + ms, act)

    def command(each: Any) -> None:
        phone.carry(phone.talk.command(each, world.now))

    do(50, lambda: command(Watch(60_000)))
    do(2_500 + 40 * seed, lambda: phone.speak(900))
    do(5_000, lambda: phone.speak(700, seed))  # over the agent
    do(6_500, lambda: phone.speak(200, seed))  # a nod
    do(8_000, lambda: phone.carrier.dtmf("5"))
    do(9_000, lambda: phone.model.player.turns.append(calls("stock")))
    do(9_100, lambda: phone.speak(500, seed))
    do(11_500, lambda: phone.carry(phone.talk.tool_result(_running(phone), '{"left":3}', "ok", world.now)))
    do(12_000, lambda: command(Instruct("i1", "Offer a discount.", "Ann")))
    do(13_000, lambda: command(Say("s1", "The shop closes soon.", "Ann")))
    do(14_000, lambda: phone.lose())
    do(14_200, lambda: phone.speak(800, seed))
    do(17_000, lambda: command(SwitchFlow(changed(plan(), instructions="You are the back desk."), "flow_2", 3, "w1")))
    do(19_000, lambda: phone.speak(600, seed))


def _running(phone: Phone) -> str:
    return next(iter(phone.talk._model.tools.agent_tools._running), "none")


def run(cuts: Sequence[int], act: Callable[..., Any], seed: int, until: float = 22_000.0) -> Phone:
    phone = Phone(World(), plan(), 40, 8, seed, SILERO.detector())
    script(phone, seed)
    begun = phone.world.now
    for cut in sorted(cuts):
        phone.world.run(begun + cut)
        act(phone)
    phone.world.run(begun + until)
    return phone


def acted(phone: Phone) -> list[str]:
    """What the call has done."""
    return [repr(each) for each in phone.actions]
