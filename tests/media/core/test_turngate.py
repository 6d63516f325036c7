from media.core.turngate import TurnGate


def test_each_detector_alone_is_believed_for_so_long() -> None:
    gate = TurnGate(1_000, 9_000, 250)
    assert not gate.speaks(0)
    assert gate.update_voice(True, 100) and not gate.update_voice(True, 200)
    assert gate.speaks(1_099) and not gate.speaks(1_100)
    gate.update_turn(True, 2_000)
    assert gate.speaks(60_000)
    assert gate.update_voice(False, 60_000)
    assert gate.speaks(68_999) and not gate.speaks(69_000)
    gate.update_turn(False, 70_000)
    assert not gate.speaks(70_000)


def test_a_turn_closes_the_gate_until_the_server_ends_it() -> None:
    """The example of the theory of operation."""
    gate = TurnGate(1_000, 9_000, 250)
    gate.update_voice(True, 60)
    assert gate.speaks(1_059) and not gate.speaks(1_060)
    gate.update_turn(True, 200)
    assert gate.speaks(1_060)
    gate.update_voice(False, 1_200)
    assert gate.speaks(10_199) and not gate.speaks(10_200)
    gate.update_turn(False, 1_500)
    assert not gate.speaks(1_500)


def test_a_caller_who_goes_on_keeps_the_gate_closed_over_the_end_of_their_turn() -> None:
    gate = TurnGate(1_000, 9_000, 250)
    gate.update_voice(True, 60)
    gate.update_turn(True, 200)
    gate.update_voice(False, 1_200)
    gate.update_voice(True, 1_460)
    gate.update_turn(False, 1_500)
    assert gate.speaks(1_500)
    gate.ignored = True
    assert not gate.speaks(1_500), "the call is closing"
