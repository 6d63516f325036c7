"""The carrier, model and call in virtual time, which the core's tests share with the benchmarks."""

from functools import partial

import pytest

from bench.simulation import Carrier, Phone, World, voice


@pytest.fixture
def world():
    return World()


@pytest.fixture
def make_world():
    return World


@pytest.fixture
def make_carrier():
    return Carrier


@pytest.fixture
def make_phone(world):
    return partial(Phone, world)


@pytest.fixture
def make_voice():
    return voice
