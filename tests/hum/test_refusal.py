"""What an operator gets wrong: one sentence that says what to do, no traceback, status 2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hum.network import SocketAddress
from hum.process.sockets import bind_socket, free_port
from hum.settings import environment


def hum(home: Path, *arguments: str, **settings: str) -> tuple[int, list[str]]:
    """Run `hum` with nothing set but these; its status, and the lines on stderr."""
    clean = {
        name: value for name, value in environment().items() if not name.startswith(("HUM_", "TWILIO_", "OPENAI_"))
    }
    ran = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env={**clean, "HUM_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stderr.splitlines()


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("up",), {"HUM_GATEWAY_LISTEN": "8080"}, "'8080' is not host:port, for example 127.0.0.1:8080"),
        (("up",), {"HUM_MAX_CALLS": "many"}, "HUM_MAX_CALLS (calls that one process carries"),
        (("up",), {"HUM_GATEWAY_PORT": "80"}, "HUM_GATEWAY_PORT is not a setting"),
        (("up",), {"HUM_PUBLIC_URL": "ftp://x"}, "'ftp://x' is not a URL like https://hum.example.com"),
        (("up",), {"TWILIO_ACCOUNT_SID": "AC1"}, "TWILIO_ACCOUNT_SID is set and TWILIO_AUTH_TOKEN is not; set both"),
        (("up",), {"TWILIO_AUTH_TOKEN": "t"}, "TWILIO_AUTH_TOKEN is set and TWILIO_ACCOUNT_SID is not; set both"),
        (("load", "--calls", "0"), {}, "argument --calls: must be a number of calls, 1 or more"),
        (("gateway", "--workers", "0"), {}, "must be a number of processes, 1 or more"),
        (("demo", "--keep", "soon"), {}, "argument --keep: must be a number of seconds, 0 or more"),
        (("admin", "list-orgs", "--limit", "0"), {}, "argument --limit: must be a number from 1 to 200"),
        (("nothing",), {}, "invalid choice: 'nothing' (choose from "),
        (("admin",), {}, "the following arguments are required: action; see `hum admin --help`"),
    ],
)
def test_a_wrong_setting(arguments: tuple[str, ...], settings: dict[str, str], sentence: str, tmp_path: Path) -> None:
    status, lines = hum(tmp_path, *arguments, **settings)
    assert (status, len(lines), sentence in lines[0]) == (2, 1, True), lines
    assert lines[0].startswith("hum: ")
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


@pytest.mark.chaos
def test_production_names_everything_that_is_missing(tmp_path: Path) -> None:
    status, lines = hum(tmp_path, "up", HUM_ENV="production")
    named = [line.split()[1] for line in lines]
    assert (status, named) == (2, ["HUM_NODE_KEY", "HUM_SECRET_KEYS", "HUM_PUBLIC_URL", "HUM_MEDIA_URL"]), lines


@pytest.mark.chaos
def test_a_socket_that_is_taken(tmp_path: Path) -> None:
    listen = SocketAddress("127.0.0.1", free_port("127.0.0.1"))
    with bind_socket(listen, shared=False) as taken:
        taken.listen()
        status, lines = hum(tmp_path, "up", HUM_GATEWAY_LISTEN=str(listen))
    assert (status, len(lines)) == (2, 1), lines
    assert lines[0].startswith(f"hum: {listen} (HUM_GATEWAY_LISTEN) is taken by another program")


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("arguments", "nowhere"),
    [
        (("up",), "/proc/nothing"),
        (("control",), "/proc/nothing"),
        (("up",), "a file"),
        (("demo",), "a file"),
        (("gateway",), "a file"),
        (("admin", "list-orgs"), "a file"),
        (("call", "--to", "+1"), "a file"),
    ],
)
def test_a_home_that_can_not_be_used(arguments: tuple[str, ...], nowhere: str, tmp_path: Path) -> None:
    home = tmp_path / nowhere
    (tmp_path / "a file").write_text("")
    status, lines = hum(home, *arguments)
    assert (status, len(lines)) == (2, 1), lines
    told = "no platform is running" if arguments[0] == "call" else f"{home} (HUM_HOME)"
    assert told in lines[0]


@pytest.mark.chaos
def test_without_a_terminal_or_a_reader_nothing_is_a_bug(tmp_path: Path) -> None:
    program = f"{sys.executable} -m cli"
    clean = {"PATH": "/usr/bin:/bin", "HUM_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    for command in (f"{program} doctor | true", f"{program} doctor >&-", f"{program} doctor <&- >/dev/null 2>&-"):
        ran = subprocess.run(["sh", "-c", command], env=clean, capture_output=True, text=True, timeout=120, check=False)
        assert ran.stderr == "", command


@pytest.mark.chaos
@pytest.mark.parametrize("program", ["control", "worker"])
def test_an_address_that_is_no_url_is_not_repeated(program: str, tmp_path: Path) -> None:
    status, lines = hum(tmp_path, program, HUM_DATABASE_URL="host=127.0.0.1 password=secret")
    told = [line for each in lines if (line := json.loads(each))["level"] == "error"]
    assert (status, len(told)) == (2, 1), lines
    assert "HUM_DATABASE_URL" in told[0]["message"]
    assert "secret" not in "".join(lines)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("login", "database", "reason"),
    [
        ("nobody:secret", "hum", 'password authentication failed for user "nobody"'),
        ("", "nothing", '"nothing" does not exist'),
    ],
)
def test_a_database_that_can_not_be_used(
    postgres: str, open_home: Path, login: str, database: str, reason: str
) -> None:
    own_login, _, server = postgres.removeprefix("postgresql://").partition("/")[0].rpartition("@")
    url = f"postgresql://{login or own_login}@{server}/{database}"
    sockets = {
        f"HUM_{plane}_LISTEN": f"127.0.0.1:{free_port('127.0.0.1')}" for plane in ("CONTROL", "GATEWAY", "MEDIA")
    }
    status, lines = hum(open_home, "up", HUM_DATABASE_URL=url, **sockets)
    assert (status, len(lines)) == (2, 1), lines
    assert f"can't use the database at {server}/{database} (HUM_DATABASE_URL)" in lines[0]
    assert reason in lines[0]
    assert "secret" not in lines[0]
