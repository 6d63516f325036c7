from media.core.keypad import MAX_DIGITS, Keypad
from media.core.types import Digits


def test_keys_are_collected_until_a_pause_or_a_hash() -> None:
    keypad = Keypad(pause_ms=100)
    assert keypad.due(0) is None
    keypad.press("1", 0, 0)
    keypad.press("2", 90, 90)
    assert keypad.due(189) is None
    assert keypad.due(190) == "12"
    assert keypad.due(190) is None
    keypad.press("#", 200, 200)
    assert keypad.due(200) == "#"
    for _ in range(MAX_DIGITS):
        keypad.press("1", 300, 300)
    assert keypad.due(300) == "1" * MAX_DIGITS


def test_each_key_gives_the_entry_so_far_and_no_two_entries_begin_together() -> None:
    keypad = Keypad()
    assert [keypad.press(key, 500 + at, at) for at, key in enumerate("47#")] == [
        Digits("4", 500),
        Digits("47", 500),
        Digits("47#", 500),
    ]
    assert keypad.due(3) == "47#"
    assert keypad.press("1", 499, 4) == Digits("1", 501), "the call's clock is an estimate"
