"""What `hum up` prints."""

import shlex
from pathlib import Path

import pytest

from cli import _parser, banner
from cli.banner import ExternalSystems

HOME = Path("/srv/hum/var")
WHERE = {
    "public_url": "https://hum.example.com",
    "media_url": "wss://media.example.com",
    "control_address": "127.0.0.1:50051",
    "metrics_urls": {"control": "http://127.0.0.1:9001/metrics"},
}
STAND_INS = {
    "carrier_url": "http://127.0.0.1:1",
    "numbers": ["+13175550100"],
    "model_url": "http://127.0.0.1:2/v1",
    "signin_url": "http://127.0.0.1:3",
}


def test_every_address_is_there() -> None:
    text = "\n".join(banner.urls(WHERE, HOME))
    for part in (
        "https://hum.example.com/auth/login",
        "https://hum.example.com/api\n",
        "https://hum.example.com/docs",
        "https://hum.example.com/openapi.json",
        "wss://media.example.com/media/twilio",
        "127.0.0.1:50051",
        "http://127.0.0.1:9001/metrics",
        "/srv/hum/var/run.json",
    ):
        assert part in text


def test_what_is_real_and_what_is_a_stand_in() -> None:
    nothing = banner.external_systems(ExternalSystems("", "", "", ""), WHERE | STAND_INS, HOME)
    assert [("a stand-in" in line or "embedded" in line) for line in nothing] == [True] * 4
    assert "+13175550100" in nothing[1]
    everything = banner.external_systems(
        ExternalSystems("db/hum", "account AC1", "gpt", "https://id.example.com"), WHERE, HOME
    )
    assert not any("stand-in" in line or "embedded" in line for line in everything)
    assert ["cost money" in line for line in everything] == [False, True, True, False]
    assert "HUM_OIDC_ISSUER" in banner.external_systems(ExternalSystems("db/hum", "AC1", "gpt", ""), WHERE, HOME)[3]


@pytest.mark.parametrize(
    ("program", "found", "here", "typed"),
    [
        ("/src/hum/.venv/bin/hum", None, "/src/hum", ".venv/bin/hum"),
        ("/src/hum/.venv/bin/hum", "/usr/bin/hum", "/src/hum", ".venv/bin/hum"),
        ("/src/hum/.venv/bin/hum", "/src/hum/.venv/bin/hum", "/src/hum", "hum"),
        ("/src/hum/.venv/bin/hum", None, "/home/me", "/src/hum/.venv/bin/hum"),
        ("/src/my hum/.venv/bin/hum", None, "/home/me", "'/src/my hum/.venv/bin/hum'"),
    ],
)
def test_the_command_is_what_has_to_be_typed_here(program: str, found: str | None, here: str, typed: str) -> None:
    assert banner.command(Path(program), Path(found) if found else None, Path(here)) == typed


def test_what_comes_next_is_the_console_and_then_commands() -> None:
    first, *steps, last = banner.next_steps(".venv/bin/hum", "+13175550100", "http://127.0.0.1:8080")[1:]
    assert first.startswith("Next:  open http://127.0.0.1:8080/ ") and "+13175550100" in first
    for step in (step.partition("   (")[0] for step in steps):
        program, *arguments = shlex.split(step)
        assert program == ".venv/bin/hum"
        _parser().parse_args(arguments)
    assert last == "Stop with Ctrl-C."
