"""The choice of a call's model side, by the kind of its model, and the voice that goes with it."""

from media.core.calltranscript import CallTranscript
from media.core.carrierclock import CarrierClock
from media.core.duplexsession import DuplexSession
from media.core.duplexside import DuplexSide
from media.core.latency import Latency
from media.core.modelmessages import DuplexModel
from media.core.modelside import ModelSide
from media.core.plans import CallPlan
from media.core.recordingpauses import RecordingPauses
from media.core.turngate import TurnGate
from media.core.turnsession import TurnSession
from media.core.turnside import TurnSide
from media.core.voice import Voice


def side_of(plan: CallPlan, clock: CarrierClock, recording_pauses: RecordingPauses) -> tuple[Voice, ModelSide]:
    """Return what the caller hears from us, and who says it."""
    emit, latency, turns = recording_pauses.emit, Latency(), plan.turns
    transcript = CallTranscript(plan, latency, emit)
    turn_gate = TurnGate(turns.false_hear_ms, turns.open_turn_ms, turns.unaware_ms)
    if isinstance(plan.agent.model, DuplexModel):
        duplex = DuplexSession(plan.agent, plan.patience.session_ms, transcript, emit)
        voice = Voice(plan, clock, duplex, transcript, latency, turn_gate, emit)
        return voice, DuplexSide(plan, clock, duplex, voice, recording_pauses)
    session = TurnSession(plan.agent, plan.patience.session_ms, transcript, emit)
    voice = Voice(plan, clock, session, transcript, latency, turn_gate, emit)
    return voice, TurnSide(plan, clock, session, voice, turn_gate, recording_pauses)
