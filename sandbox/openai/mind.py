"""How an answer is chosen: a sentence to be spoken verbatim, then the script, then the receptionist."""

from sandbox.openai import receptionist
from sandbox.openai.receptionist import Situation
from sandbox.openai.script import Turn
from sandbox.openai.stage import Player


def think(player: Player, next_turn: Turn | None, now: Situation) -> Turn:
    """`next_turn` is the next of the script's ordered turns; without one the rules decide."""
    if next_turn is not None:
        return next_turn
    if (rule := player.by_rule(now.caller_text or "", list(now.called))) is not None:
        return rule
    if now.caller_text is not None and not now.called and (otherwise := player.otherwise()) is not None:
        return otherwise
    return receptionist.answer(now)
