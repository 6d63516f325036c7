import json
from pathlib import Path

import pytest

from bench import ledger


def test_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger.main(["--calls", "2", "--turns", "1", "--json", str(tmp_path / "ledger.json")]) == 0
    told = json.loads((tmp_path / "ledger.json").read_text())
    assert len(told) == 3 * len(ledger.LINES)
    assert "jitter 40" in capsys.readouterr().out


def test_without_jitter_nothing_is_lost_or_said_twice() -> None:
    told = {each.what: each for each in ledger.measure(5, 2, ledger.LINES[:1])}
    assert told["resume"].exact_percent == told["cut"].exact_percent == 100


def test_with_jitter_no_whole_frame_is_lost_or_said_twice() -> None:
    """One-way delays up to 150 ms, jitter up to 40 ms: compared with the carrier's truth, to the sample."""
    (line,) = (each for each in ledger.LINES if each.name == "jitter 40")
    told = {each.what: each for each in ledger.measure(30, 3, [line])}
    assert told["resume"].max < 20 and told["cut"].max < 20
    assert told["cut"].p99 < 15
    assert told["running"].p99 < 24
