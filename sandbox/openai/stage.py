"""The parts that a stand-in's session shares with its answers.  Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from realtime.conversation import RealtimeConversation
from realtime.ids import NewId
from realtime.record import SessionRecord
from realtime.stage import Clock, Stage
from sandbox.openai.mind import Player, ScriptedMind, StandInSenses
from sandbox.openai.settings import Faults, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInStage(Stage):
    """The stage of a session with a script and faults."""

    senses: StandInSenses
    rules: Settings
    player: Player
    faults: Faults

    @classmethod
    def of(
        cls,
        send: Callable[[dict[str, Any]], None],
        conversation: RealtimeConversation,
        truth: SessionRecord,
        player: Player,
        senses: StandInSenses,
        settings: Settings,
        faults: Faults,
        clock: Clock,
        new_id: NewId,
    ) -> "StandInStage":
        """Return the stage of a session that the script's mind answers."""
        return cls(
            send=send,
            conversation=conversation,
            truth=truth,
            mind=ScriptedMind(player, senses, settings, faults),
            senses=senses,
            rules=settings,
            player=player,
            faults=faults,
            clock=clock,
            new_id=new_id,
        )
