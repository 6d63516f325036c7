"""The choice of an answer: the script's next turn, then its rules, then the receptionist."""

from itertools import takewhile

import msgspec

from sandbox.openai import receptionist
from sandbox.openai.receptionist import AnswerSituation
from sandbox.openai.script import Turn
from sandbox.openai.stage import Player


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
