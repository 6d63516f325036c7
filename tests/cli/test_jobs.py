"""`hum admin jobs` lists what could not be handled, or has it handled again."""

import pytest

from cli import MAX_QUARANTINED, _parser, admin


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What control is asked for."""
    found: list[object] = []

    async def jobs(limit: int) -> int:
        found.append(limit)
        return 0

    async def release_jobs(ids: list[str]) -> int:
        found.append(ids)
        return 1

    monkeypatch.setattr(admin, "jobs", jobs)
    monkeypatch.setattr(admin, "release_jobs", release_jobs)
    return found


def run(*options: str) -> int:
    arguments = _parser().parse_args(["admin", "jobs", *options])
    result: int = arguments.run(arguments)
    return result


def test_they_are_listed_unless_some_are_named(asked: list[object]) -> None:
    assert run() == run("--limit", str(MAX_QUARANTINED)) == 0
    assert run("--release", "job:1", "event:usage:2") == 1, "as control answers"
    assert asked == [100, MAX_QUARANTINED, ["job:1", "event:usage:2"]]


def test_no_id_is_no_release(asked: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--release")
    assert ended.value.code == 2 and "--release" in capsys.readouterr().err
    assert asked == []
