"""Machines that a test may cut off and switch off."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.net import Network, missing


@pytest.fixture
def machines() -> Iterator[Network]:
    """Three machines: a, b, c."""
    if os.geteuid() != 0:
        pytest.skip("networks of its own take root")
    if lacks := missing():
        pytest.skip("; ".join(lacks))
    with ExitStack() as stack:
        try:
            network = stack.enter_context(Network("a", "b", "c"))
        except RuntimeError as error:  # a container may have less than root elsewhere
            pytest.skip(str(error))
        yield network
