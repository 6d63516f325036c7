"""The choice of a session's wire, by the kind of its model."""

from media.core.modelmessages import TurnModel
from media.models.realtime import RealtimeWire
from media.modelwire import ModelWire


def wire_of(model: TurnModel) -> ModelWire:
    """Return the wire of one session with this model."""
    return RealtimeWire(model)
