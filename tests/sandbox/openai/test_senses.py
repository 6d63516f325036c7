"""Recognition and synthesis as tasks of their own."""

import gc
from unittest.mock import AsyncMock

import pytest

from realtime.codec import PCMU
from sandbox.openai.senses import SessionSenses


@pytest.mark.filterwarnings("error::RuntimeWarning")
async def test_what_is_closed_before_it_began_is_gone() -> None:
    gc.collect()  # what other tests have left is not its own
    senses, found = AsyncMock(), list[object]()
    listening = SessionSenses(senses, AsyncMock())
    listening.utter("Hello.", "alloy", PCMU, found.append)
    listening.hear(PCMU, b"", found.append)
    await listening.close()
    gc.collect()  # an unawaited coroutine would warn here
    assert not found and not senses.mock_calls
