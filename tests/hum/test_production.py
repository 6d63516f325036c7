"""Production starts with good keys and safe URLs, or says what to set; `hum admin make-keys` makes the keys."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hum import settings
from hum.process import home, production
from hum.secrets import Keyring
from hum.settings import ControlSettings, GatewaySettings, MediaSettings

PROGRAMS = {
    "control": ("control.app", "control"),
    "worker": ("control.app", "worker"),
    "gateway": ("gateway.app",),
    "media": ("media.app",),
}
URLS = {"HUM_PUBLIC_URL": "https://hum.example", "HUM_MEDIA_URL": "wss://media.example"}


def start(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": "/usr/bin", "HUM_HOME": str(home), **environment}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)


def good() -> dict[str, str]:
    return {"HUM_ENV": "production", **URLS, **production.make_keys()}


@pytest.mark.chaos
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_starts_with_weak_settings(tmp_path: Path, program: str) -> None:
    weak = {"HUM_NODE_KEY": "x", "HUM_SECRET_KEYS": "garbage", "HUM_MEDIA_URL": "ws://media.example"}
    done = start(*PROGRAMS[program], home=tmp_path, **{**good(), **weak, "HUM_PUBLIC_URL": "http://hum.example"})
    assert done.returncode not in {0, None}, done.stdout
    names = ["HUM_NODE_KEY", "HUM_PUBLIC_URL", "HUM_MEDIA_URL"]
    if program in {"control", "worker"}:  # who would seal with them
        names.append("HUM_SECRET_KEYS")
    for name in names:
        lines = [json.loads(line)["message"] for line in done.stderr.splitlines()]
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert "hum admin make-keys" in line or "production needs" in line, line
    assert "Traceback" not in done.stderr and "garbage" not in done.stderr


def sealing(*keys: bytes) -> str:
    return ",".join(f"{version}:{base64.b64encode(key).decode()}" for version, key in enumerate(keys, start=1))


RANDOM = bytes(range(32))


@pytest.mark.parametrize(
    "text",
    ["", "garbage", "1:", "1:AAAA", "x:" + sealing(RANDOM)[2:], sealing(bytes(32)), sealing(RANDOM[:31]), ",",
     "1:" + sealing(RANDOM)[2:] + ",1:" + sealing(RANDOM)[2:], "0:" + sealing(RANDOM)[2:], "70000:" + sealing(RANDOM)[2:],
     sealing(RANDOM, b"k" * 32), sealing(RANDOM).replace("A", "!", 1)],
)  # fmt: skip
def test_bad_sealing_keys(text: str) -> None:
    complaint = production.bad_secret_keys(text)
    assert complaint is not None and "make-keys" in complaint
    assert len(text) < 4 or text not in complaint


def test_good_sealing_keys() -> None:
    for text in (sealing(RANDOM), sealing(RANDOM, RANDOM[::-1]), production.make_keys()["HUM_SECRET_KEYS"]):
        assert production.bad_secret_keys(text) is None
        Keyring.parse(text)


@pytest.mark.parametrize(("key", "is_good"), [("", False), ("x", False), ("k" * 64, False), ("correct horse", False),
                                              ("f3a9" * 16, False), ("0123456789abcdef" * 2, True),
                                              ("0123456789abcdef" * 2 + ", " + "fedcba9876543210" * 2, True),
                                              ("0123456789abcdef" * 2 + ",old", False), (" , ", False)])  # fmt: skip
def test_node_keys(key: str, is_good: bool) -> None:
    assert (production.bad_node_key(key) is None) is is_good


def test_development_may_be_anything() -> None:
    assert production.problems(ControlSettings(node_key="x", secret_keys="garbage")) == []
    named: dict[str, Any] = {"public_url": URLS["HUM_PUBLIC_URL"], "media_url": URLS["HUM_MEDIA_URL"]}
    assert (
        production.problems(MediaSettings(env="production", node_key=production.make_keys()["HUM_NODE_KEY"], **named))
        == []
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUM_PUBLIC_URL", "ftp://hum.example"),
        ("HUM_PUBLIC_URL", "hum.example"),
        ("HUM_PUBLIC_URL", "https://"),
        ("HUM_PUBLIC_URL", "https://hum.example/?x=1"),
        ("HUM_MEDIA_URL", "https://media.example"),
        ("HUM_MEDIA_URL", "media.example:8081"),
    ],
)
def test_a_url_of_another_kind_stops_any_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        settings.load(GatewaySettings)
    complaint = capsys.readouterr().err
    assert ended.value.code == 2 and name in complaint and "is not a URL like" in complaint


@pytest.mark.chaos
def test_made_keys_are_those_that_production_takes(tmp_path: Path) -> None:
    made = [start("cli", "admin", "make-keys", home=tmp_path) for _ in range(2)]
    assert [each.returncode for each in made] == [0, 0] and made[0].stdout != made[1].stdout
    keys = dict(line.split("=", 1) for line in made[0].stdout.splitlines())
    assert keys.keys() == {"HUM_NODE_KEY", "HUM_SECRET_KEYS"}
    done = start("control.app", "control", home=tmp_path, **{**good(), **keys})
    assert done.returncode == 2 and "HUM_DATABASE_URL" in done.stderr  # all that it lacks
    assert list(tmp_path.iterdir()) == []  # nothing is written down


def test_a_key_of_commas_is_no_key(tmp_path: Path) -> None:
    (made,) = home.node_keys(ControlSettings(home=tmp_path, node_key=" , "))
    assert production.bad_node_key(made.decode()) is None
    assert home.node_keys(ControlSettings(home=tmp_path, node_key="new,old")) == (b"new", b"old")
