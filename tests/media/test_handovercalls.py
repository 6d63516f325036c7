"""Commands for calls in a handover: each is answered, or its outcome is unknown, and none is said to be for a call that is over."""

from types import SimpleNamespace
from typing import Any

import pytest

from hum.v1 import runtime_pb2 as pb
from media import handovercalls
from media.handover.channel import PeerLost
from media.handover.sender import HandoverSender
from media.handovercalls import HandoverCalls


def test_of_too_many_commands_the_last_is_refused_with_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handovercalls, "MAX_COMMANDS", 2)
    answers = list[tuple[str, str]]()
    moving, other = object(), object()
    calls: Any = HandoverCalls(lambda command, outcome: answers.append((command, outcome)))
    calls.calls[moving] = []
    assert [calls.queue(moving, pb.CallCommand(command_id=str(n))) for n in range(3)] == [True] * 3
    assert [command.command_id for command in calls.calls[moving]] == ["0", "1"]
    assert answers == [("2", "full")]
    assert not calls.queue(other, pb.CallCommand(command_id="3"))


def test_a_command_for_a_moved_call_goes_to_the_successor_that_has_it_or_has_no_known_outcome() -> None:
    sent = list[str]()

    def lost(_: Any) -> None:
        raise PeerLost("gone")

    has_it: Any = SimpleNamespace(send=lambda message: sent.append("sent"))
    is_gone: Any = SimpleNamespace(send=lost)
    sender: Any = HandoverSender.__new__(HandoverSender)
    sender._moved = {"call_a": has_it, "call_b": is_gone}
    assert sender._forward(pb.CallCommand(call_id="call_a")) and sent == ["sent"]
    assert sender._forward(pb.CallCommand(call_id="call_b")), "it lives: nobody says that it is over"
    assert not sender._forward(pb.CallCommand(call_id="call_c"))
