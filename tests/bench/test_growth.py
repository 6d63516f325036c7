import json
from pathlib import Path

import pytest

from bench import growth, inbox, reads
from tests.support.rows import EVENTS_A_CALL, MESSAGES_EACH


@pytest.mark.bench
@pytest.mark.timeout(120)
def test_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "growth.json"
    assert growth.main(["--sizes", "400", "2000", "--times", "3", "--json", str(out)]) == 0
    told = {each["question"]: each for each in json.loads(out.read_text())}
    assert len(told) == 19
    assert all(each["ratio"] > 0 for each in told.values())
    assert told["call search: a number"]["finds"]["2000"] in {18, 20}, "18 of 20 are the tenant's, or all"
    assert told["contact search: a number"]["finds"]["2000"] <= 1
    assert told["events: of a call"]["finds"]["2000"] == EVENTS_A_CALL
    assert "| contact search: a name |" in capsys.readouterr().out


@pytest.mark.bench
@pytest.mark.timeout(60)
def test_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert reads.main(["--times", "20"]) == 0
    table = capsys.readouterr().out
    assert all(f"| {read}, a tenant's |" in table for read in ("one row", "a call"))


@pytest.mark.bench
@pytest.mark.timeout(120)
def test_the_inbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "inbox.json"
    assert inbox.main(["--sizes", "400", "2000", "--times", "3", "--memory", "256MB", "--json", str(out)]) == 0
    told = {each["question"]: each for each in json.loads(out.read_text())}
    assert len(told) == 20
    for most in ("inbox: the latest", "inbox search: a number's beginning", "inbox search: a word of most"):
        assert told[most]["finds"]["2000"] == growth.PAGE
    assert told["inbox search: a word of 0.1 %"]["finds"] == {"400": 1, "2000": 2}
    assert told["inbox search: a word of 0.1 %, a few"]["finds"] == {"400": 1, "2000": 1}
    for listed in ("the first", "a page in the middle"):
        assert told[f"recipients: {listed}"]["finds"] == {"400": growth.PAGE, "2000": growth.PAGE}
    assert told["recipients: failed, 1 %"]["finds"]["2000"] == 20
    assert (
        told["inbox search: a number"]["finds"]["2000"] <= 1 and told["inbox: a member's, none"]["finds"]["2000"] == 0
    )
    assert told["messages of a conversation"]["finds"]["2000"] == MESSAGES_EACH
    assert "| inbox: put off, 1 % |" in capsys.readouterr().out
