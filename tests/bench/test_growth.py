import json

import pytest

from bench import growth, reads


@pytest.mark.timeout(120)
def test_it_measures(tmp_path, capsys):
    out = tmp_path / "growth.json"
    assert growth.main(["--sizes", "400", "2000", "--times", "3", "--json", str(out)]) == 0
    told = {each["question"]: each for each in json.loads(out.read_text())}
    assert len(told) == 19
    assert all(each["ratio"] > 0 for each in told.values())
    assert told["call search: a number"]["finds"] in {18, 20}, "18 of 20 are the tenant's, or all"
    assert told["contact search: a number"]["finds"] <= 1
    assert told["events: of a call"]["finds"] == growth.EVENTS_A_CALL
    assert "| contact search: a name |" in capsys.readouterr().out


@pytest.mark.timeout(60)
def test_reads(capsys):
    assert reads.main(["--times", "20"]) == 0
    assert capsys.readouterr().out.count("|\n") == 8
