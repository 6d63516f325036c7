from collections.abc import Callable
from pathlib import Path

import pytest

from evals import runner, scenario
from evals.runner import SuitePlan
from tests.evals.samples import FLOW, SUITE


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[], SuitePlan]:
    (tmp_path / "s.yaml").write_text(SUITE)
    (tmp_path / "flow.yaml").write_text(FLOW)
    return lambda: runner.plan(scenario.load([tmp_path / "s.yaml"]), "", None, 1, tmp_path / "r.xml")
