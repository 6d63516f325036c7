"""A media process that waits for its successor."""

import pytest

from tests.media.planes import Plane, StartPlane
from tests.support.waits import until


@pytest.fixture
async def first(plane: StartPlane) -> Plane:
    started = await plane(HUM_DRAIN_SECONDS=20, linger_seconds=0.1)
    await until(lambda: started.given.handover_path.exists())
    return started
