"""The stand-in's mind: the script's next turn, then its rules, then the receptionist.  Pure."""

import json
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import Protocol

import msgspec

from realtime.codec import Codec
from realtime.mind import AnswerSituation, CallPart, Part, SpokenPart, Take, Voiced, WaitPart
from realtime.stage import Senses
from sandbox.openai import receptionist
from sandbox.openai.script import Tone, Turn
from sandbox.openai.settings import Faults, Settings


class Player(Protocol):
    """A position in a script."""

    def next_turn(self) -> Turn | None: ...
    def by_rule(self, caller_text: str, called: list[str]) -> Turn | None: ...
    def otherwise(self) -> Turn | None: ...


class StandInSenses(Senses, Protocol):
    """Speech recognition and synthesis, and tones."""

    def tone(self, tone: Tone, codec: Codec) -> Voiced: ...


class ScriptedMind:
    """The mind of one session: each answer comes whole, after the scripted latency."""

    def __init__(self, player: Player, senses: StandInSenses, settings: Settings, faults: Faults) -> None:
        self._player, self._senses, self._settings, self._faults = player, senses, settings, faults

    def answer(self, situation: AnswerSituation, take: Take) -> Callable[[], None]:
        for part in (*self._parts(self._turn(situation)), None):
            take(part)
        return lambda: None

    def _turn(self, situation: AnswerSituation) -> Turn:
        if situation.exact is not None:
            return Turn(say=situation.exact)
        return choose_turn(self._player, self._player.next_turn() if situation.in_band else None, situation)

    def _parts(self, turn: Turn) -> list[Part]:
        latency_ms = self._settings.latency_ms if turn.latency_ms is None else turn.latency_ms
        fault_ms = self._faults.first_delta_ms
        calls: list[Part] = [
            CallPart(call.name, json.dumps(call.arguments))
            for call in ([] if turn.call is None else [turn.call]) + turn.more_calls
        ]
        spoken: list[Part] = []
        if turn.tone is not None:
            spoken.append(SpokenPart("", partial(self._senses.tone, turn.tone)))
        elif turn.say is not None:
            spoken.append(SpokenPart(turn.say))
        return [
            WaitPart(latency_ms if fault_ms is None else fault_ms),
            *(calls + spoken if turn.calls_first else spoken + calls),
        ]


def choose_turn(player: Player, next_turn: Turn | None, situation: AnswerSituation) -> Turn:
    """Choose the answer; without `next_turn`, the next of the script's ordered turns, the rules decide.

    If the conversation ends with the beginning of that answer, return the rest.
    """
    turn = _choose(player, next_turn, situation)
    if turn.say is None:
        return turn
    utterances = list(takewhile(lambda utterance: utterance[0] == "assistant", reversed(situation.dialogue)))
    rest = turn.say
    for _, heard in reversed(utterances):
        after = rest.removeprefix(heard)
        if after != rest and after[:1].isspace():
            rest = after.strip()
    return msgspec.structs.replace(turn, say=rest)


def _choose(player: Player, next_turn: Turn | None, situation: AnswerSituation) -> Turn:
    if next_turn is not None:
        return next_turn
    if (rule := player.by_rule(situation.caller_text or "", list(situation.called))) is not None:
        return rule
    if situation.caller_text is not None and not situation.called and (otherwise := player.otherwise()) is not None:
        return otherwise
    return receptionist.answer(situation)
