"""A desk for every test of numbers."""

import pytest

from tests.control.conftest import Plane
from tests.control.numbers.desk import Desk


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    return Desk(plane, await plane.tenant())
