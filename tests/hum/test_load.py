"""`hum load` finds the gateway and the number to call."""

from argparse import Namespace
from pathlib import Path

import pytest

from cli import _parser, load
from hum.process import home
from sandbox.load import harness


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """The calls that would have been placed, isolated from the real environment."""
    for name in ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID", "HUM_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUM_HOME", str(tmp_path))
    calls: list[tuple[str, ...]] = []

    async def main(asked: Namespace, *where: str) -> int:
        calls.append((asked.to, *where))
        return 0

    monkeypatch.setattr(harness, "main", main)
    return calls


async def test_what_runs_here_is_called(placed: list[tuple[str, ...]], tmp_path: Path) -> None:
    facts = {"public_url": "http://127.0.0.1:1", "twilio_account_sid": "AC1", "twilio_auth_token": "t"}
    home.write_run(tmp_path, facts | {"numbers": ["+13175550100"]})
    assert await load.run(_parser().parse_args(["load"])) == 0
    assert placed == [("+13175550100", "http://127.0.0.1:1/twilio/voice", "AC1", "t")]


async def test_another_gateway_is_named_by_its_url_and_the_environment(
    placed: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "newest,older")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC2")
    asked = _parser().parse_args(["load", "--url", "https://hum.example.com/", "--to", "+13175550101"])
    assert await load.run(asked) == 0
    assert placed == [("+13175550101", "https://hum.example.com/twilio/voice", "AC2", "newest")]


async def test_nothing_to_call_is_said(placed: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert await load.run(_parser().parse_args(["load"])) == 2
    assert placed == []
    assert "hum up" in capsys.readouterr().err
