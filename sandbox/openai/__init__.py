"""A stand-in for OpenAI that speaks its wire protocol and records the ground truth of every session."""

from realtime.record import Act
from sandbox.openai.model import Model
from sandbox.openai.script import BadScript, FunctionCall, Rule, Script, Tone, Turn
from sandbox.openai.settings import Faults, Settings
from sandbox.openai.truth import SessionTruth

__all__ = [
    "Act",
    "BadScript",
    "Faults",
    "FunctionCall",
    "Model",
    "Rule",
    "Script",
    "SessionTruth",
    "Settings",
    "Tone",
    "Turn",
]
