"""What a session and its answers share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.openai.conversation import Conversation
from sandbox.openai.script import Player
from sandbox.openai.senses import Senses
from sandbox.openai.settings import Faults, Settings
from sandbox.openai.truth import SessionTruth


@dataclass(frozen=True, slots=True)
class Stage:
    """`emit(type, fields)` sends a server event; it gets its event id there."""

    emit: Callable[[str, dict[str, Any]], None]
    conversation: Conversation
    truth: SessionTruth
    player: Player
    senses: Senses
    settings: Settings
    faults: Faults
