"""Whether the simulated caller did their part, judged before the agent is.  Pure.

A fact that the agent never asked for, or a silent agent, is the agent's failure and no reason here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.brains import Action, asked_for, asking
from evals.scenario import Fact

#: Both may begin in the same moment.
MOST_TALK_OVER_MS = 400


@dataclass(frozen=True, slots=True)
class Conduct:
    """What the caller did."""

    actions: Sequence[Action]
    #: How long the caller spoke over the agent where the persona does not order it.
    talk_over_ms: int = 0

    @property
    def facts(self) -> set[str]:
        """The names of the facts that the caller told."""
        return {name for action in self.actions for name in action.facts}


def faults(facts: Mapping[str, Fact], agent_turns: Sequence[str], conduct: Conduct) -> list[str]:
    """Return why a run says nothing of the agent; `agent_turns` are what the caller heard.

    Nobody can answer the last turn of a call.
    """
    answerable = agent_turns[:-1]
    questions = {name for turn in answerable for name in asked_for(facts, turn)}
    reasons = [f"the caller was asked for {name!r} and did not tell it" for name in sorted(questions - conduct.facts)]
    reasons += [f"the caller invented {name!r}" for name in sorted(conduct.facts - facts.keys())]
    if any(asking(turn) for turn in answerable) and not any(action.do == "say" for action in conduct.actions):
        reasons.append("the caller was asked and said nothing")
    if conduct.talk_over_ms > MOST_TALK_OVER_MS:
        reasons.append(
            f"the caller spoke over the agent for {conduct.talk_over_ms} ms, which the persona does not order"
        )
    return reasons
