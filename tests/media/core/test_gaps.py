"""What the carrier loses of the caller's audio moves no turn out of the pause in which it was spoken."""

from collections.abc import Callable

from media.core.modelmessages import TurnModel
from media.core.plans import PauseRules
from media.core.recordingpauses import NOT_RECORDED
from media.core.types import Delta, RecordingPaused, TurnEnded
from tests.support.plans import call_plan, changed
from tests.support.present import present
from tests.support.simulation import Phone

PLAN = call_plan(
    "", TurnModel("gpt-realtime", "marin", "t"), recording=True, pauses=PauseRules(on_keys=True, keys_ms=3_000)
)


def lose_audio(phone: Phone, ms: int) -> None:
    """The carrier's clock goes on, but what it sends is lost."""
    carrier, send = phone.carrier, phone.carrier.frame
    carrier.frame = lambda *_: setattr(carrier, "frames", carrier.frames + 1)  # type: ignore[method-assign]
    phone.after(ms)
    carrier.frame = send  # type: ignore[method-assign]


def speaks_after_a_key(phone: Phone) -> int:
    """The caller presses a key and says something; return when, on the call's clock."""
    phone.carrier.dtmf("4")
    phone.after(600)
    spoke_ms = phone.carrier.frames * 20
    phone.speak(900)
    return spoke_ms


def is_not_recorded(phone: Phone, spoke_ms: int) -> None:
    (paused, over) = phone.told(RecordingPaused)
    said = next(each for each in phone.told(TurnEnded) if each.role == "caller")
    assert abs(said.start_ms - spoke_ms) < 200
    assert paused.start_ms < said.start_ms < present(over.end_ms)
    assert said.text == NOT_RECORDED
    assert {each.text for each in phone.told(Delta) if each.role == "caller"} <= {""}


def test_a_gap_in_the_callers_audio_moves_nothing_out_of_a_pause(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(3_000)
    lose_audio(phone, 5_000)
    phone.after(500)
    spoke_ms = speaks_after_a_key(phone)
    phone.after(8_000)
    is_not_recorded(phone, spoke_ms)


def test_nor_does_one_in_what_another_session_hears_again(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, patience_ms=30_000))
    phone.after(3_000)
    phone.fate = "refused"
    phone.lose()
    spoke_ms = speaks_after_a_key(phone)
    phone.after(1_500)
    lose_audio(phone, 5_000)
    phone.after(500)
    phone.fate = ""
    phone.after(8_000)
    is_not_recorded(phone, spoke_ms)
