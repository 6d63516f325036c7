"""How a run of these checks ends."""

import gc


def pytest_sessionfinish() -> None:
    """Hide the trees of `tests.house.sources` from the collector, which pytest starts several times at the end."""
    gc.freeze()
