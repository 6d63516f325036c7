from collections.abc import Callable

import pytest

from media.core.carrierclock import CarrierClock
from media.core.dtmf import MAX_DIGITS, Keypad
from media.core.recordingpauses import RecordingPauses
from media.core.types import Action, CallEnded, Digits, PauseRules, Report, TurnEnded
from tests.media.core.plans import BARE
from tests.support.simulation import Phone


def test_keys_are_collected_until_a_pause_or_a_hash() -> None:
    actions: list[Action] = []
    keypad = Keypad(100, RecordingPauses(PauseRules(), CarrierClock(0.0), actions.append))
    assert keypad.due(0) == ""
    keypad.press("1", 0)
    keypad.press("2", 90)
    assert keypad.due(189) == ""
    assert keypad.due(190) == "12"
    keypad.press("#", 200)
    assert keypad.due(200) == "#"
    for _ in range(MAX_DIGITS):
        keypad.press("1", 300)
    assert keypad.due(300) == "1" * MAX_DIGITS
    keypad.press("7", 400)
    assert (keypad.flush(400), keypad.flush(400)) == ("7", "")
    events = [action.event for action in actions if isinstance(action, Report)]
    assert [event.digits for event in events if isinstance(event, Digits)] == ["12", "#", "1" * MAX_DIGITS, "7"]


def test_digits_are_reported_and_told_to_the_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    for digit in "12#":
        phone.carrier.dtmf(digit)
    phone.after(3_000)
    assert [d.digits for d in phone.told(Digits)] == ["12#"]
    items = [m["item"]["content"][0]["text"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    assert items == ["Caller entered 12 on the keypad"]
    assert phone.model.types().count("response.create") == 1


@pytest.mark.parametrize("lost_first", [False, True])
def test_every_later_session_knows_what_was_entered_in_its_place(
    make_phone: Callable[..., Phone], lost_first: bool
) -> None:
    """An account number that was entered once is not asked for again because a socket broke."""
    phone = make_phone(BARE)
    phone.after(1_000)
    if lost_first:
        phone.lose()  # the keys come while there is no session
    for digit in "12#":
        phone.carrier.dtmf(digit)
    phone.after(3_000)
    phone.lose()
    phone.after(3_000)
    phone.speak(600)
    phone.after(3_000)
    phone.lose()
    phone.after(3_000)
    received = phone.model.received
    begun = [place for place, each in enumerate(received) if each["type"] == "session.update"]
    assert len(begun) == (4 if lost_first else 3)
    for begin, end in zip(begun, [*begun[1:], None], strict=True):
        texts = [
            each["item"]["content"][0]["text"]
            for each in received[begin:end]
            if each["type"] == "conversation.item.create" and each["item"]["role"] != "system"
        ]
        if begin == begun[0] and lost_first:
            assert texts == []
        else:
            assert texts[:1] == ["Caller entered 12 on the keypad"] and texts.count(texts[0]) == 1
    assert [d.digits for d in phone.told(Digits)] == ["12#"], "and it is reported once"
    assert [turn.seq for turn in phone.told(TurnEnded)] == list(range(1, len(phone.told(TurnEnded)) + 1))


def test_keys_are_not_lost_when_the_call_ends_in_their_pause(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(500)
    phone.carrier.dtmf("4")
    phone.carrier.dtmf("2")
    phone.carrier.stop()
    phone.after(200)
    assert [type(each) for each in phone.reports[-2:]] == [Digits, CallEnded]
    assert phone.told(Digits)[0].digits == "42"
