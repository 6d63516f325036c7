from media.core.carrierclock import CarrierClock
from media.core.dtmf import MAX_DIGITS, Keypad
from media.core.recordingpauses import RecordingPauses
from media.core.types import Action, Digits, PauseRules, Report


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
