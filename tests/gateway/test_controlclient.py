"""What the gateway makes of control's refusals."""

from typing import Any

import asyncpg
import pytest
from grpc import StatusCode, aio
from grpc_status import rpc_status

from control.boundary import status
from gateway.controlclient import ControlUnavailable, TimeLimitMet, ask


def failure(error: Exception) -> aio.AioRpcError:
    """The error of a call for which control raised this."""
    sent = rpc_status.to_status(status.status(status.refusal(error), "req_1"))
    trailing = aio.Metadata(*sent.trailing_metadata)
    return aio.AioRpcError(sent.code, aio.Metadata(), trailing, details=sent.details)


class Failing:
    """A method of control's that fails each time, and counts."""

    def __init__(self, error: Exception) -> None:
        self._error, self.calls = failure(error), 0

    async def __call__(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        raise self._error


async def ask_of(method: Any) -> None:
    await ask(method, object(), tuple, within_seconds=0.05, pause_seconds=0.01)


async def test_a_statement_that_was_canceled_is_not_asked_for_again_at_once() -> None:
    method = Failing(asyncpg.QueryCanceledError("canceling statement due to statement timeout"))
    with pytest.raises(TimeLimitMet):
        await ask_of(method)
    assert method.calls == 1


async def test_a_database_that_is_away_is_asked_again() -> None:
    method = Failing(asyncpg.CannotConnectNowError("starting up"))
    with pytest.raises(ControlUnavailable) as raised:
        await ask_of(method)
    assert method.calls > 1 and not isinstance(raised.value, TimeLimitMet)
    assert str(raised.value) == StatusCode.UNAVAILABLE.name
