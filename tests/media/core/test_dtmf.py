from media.core.dtmf import MAX_DIGITS, Keypad


def test_keys_are_collected_until_a_pause_or_a_hash() -> None:
    keypad = Keypad(pause_ms=100)
    assert keypad.due(0) is None
    keypad.press("1", 0)
    keypad.press("2", 90)
    assert keypad.due(189) is None
    assert keypad.due(190) == "12"
    keypad.press("#", 200)
    assert keypad.due(200) == "#"
    for _ in range(MAX_DIGITS):
        keypad.press("1", 300)
    assert keypad.due(300) == "1" * MAX_DIGITS
    keypad.press("7", 400)
    assert (keypad.take(), keypad.take()) == ("7", "")
