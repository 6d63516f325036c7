"""How a run of these checks ends."""

import gc


def pytest_sessionfinish() -> None:
    """At its end pytest collects garbage several times, each time by way of all trees of `tests.house.sources`."""
    gc.freeze()
