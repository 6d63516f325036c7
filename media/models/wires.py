"""The choice of a session's wire, by the kind of its model."""

from media.core.modelmessages import CallModel, DuplexModel
from media.models.live import LiveWire
from media.models.realtime import RealtimeWire
from media.modelwire import ModelWire


def wire_of(model: CallModel) -> ModelWire:
    """Return the wire of one session with this model."""
    return LiveWire(model) if isinstance(model, DuplexModel) else RealtimeWire(model)
