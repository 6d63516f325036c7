"""The carrier, model and call in virtual time, which the core's tests share with the benchmarks."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.support.simulation import Carrier, Phone, World, voice


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> type[World]:
    return World


@pytest.fixture
def make_carrier() -> type[Carrier]:
    return Carrier


@pytest.fixture
def make_phone(world: World) -> Callable[..., Phone]:
    return partial(Phone, world)


@pytest.fixture
def make_voice() -> Callable[..., list[bytes]]:
    return voice
