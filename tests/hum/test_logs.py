"""Each line of each plane's log is one JSON object, whatever goes wrong and whoever writes it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hum.network import SocketAddress
from hum.observe import strayoutput
from hum.process.sockets import bind_socket, free_port
from hum.settings import environment
from tests.hum.test_production import PROGRAMS
from tests.support.processes import is_wrapper
from tests.support.programs import variables

NOWHERE = "127.0.0.1:1"
#: gRPC's core talks of all that it does, and spans go nowhere.
LOUD: dict[str, Any] = {"GRPC_VERBOSITY": "DEBUG", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{NOWHERE}"}


def start(*arguments: str, home: Path, stdin: int | None = None, **settings: str) -> "subprocess.Popen[bytes]":
    clean = {name: value for name, value in environment().items() if not name.startswith(("HUM_", "TWILIO_", "OTEL_"))}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=variables({**clean, "HUM_HOME": str(home), **settings}),
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wrappers(pid: int) -> list[int]:
    """Return the processes that write a program's standard error, whichever of its threads started them."""
    started = [each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for each in started for child in each if is_wrapper(int(child))]


def parsed(log: bytes) -> list[dict[str, Any]]:
    """Every line, which must be an object with these members."""
    objects = [json.loads(line) for line in log.splitlines()]
    for each in objects:
        assert {"plane", "level", "at", "message"} <= each.keys(), each
    return objects


def log_of(program: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    _, log = program.communicate(timeout=60)
    return parsed(log)


def listens() -> dict[str, str]:
    return {f"HUM_{each}_LISTEN": f"127.0.0.1:{free_port('127.0.0.1')}" for each in ("CONTROL", "GATEWAY", "MEDIA")}


@pytest.mark.chaos
@pytest.mark.parametrize("plane", PROGRAMS)
def test_a_setting_that_is_wrong(plane: str, tmp_path: Path) -> None:
    program = start("-m", *PROGRAMS[plane], home=tmp_path, ready_seconds="soon", HUM_NO_SUCH="1")
    first, second = log_of(program)
    assert program.returncode == 2
    assert first["message"].startswith("HUM_NO_SUCH is not a setting") and first["plane"] == plane
    assert second["message"].startswith("HUM_OVERRIDES: ready_seconds (")


@pytest.mark.chaos
@pytest.mark.parametrize("plane", ["control", "worker"])
def test_a_database_that_is_not_there(plane: str, tmp_path: Path) -> None:
    program = start("-m", *PROGRAMS[plane], home=tmp_path, HUM_DATABASE_URL=f"postgresql://{NOWHERE}/hum", **LOUD)
    log = log_of(program)
    assert program.returncode == 2
    assert any(each["message"].startswith("can't use the database at 127.0.0.1:1/hum") for each in log)
    assert any("log.cc" in each["message"] for each in log), "gRPC's core has spoken"


@pytest.mark.chaos
@pytest.mark.parametrize(("plane", "variable"), [("gateway", "HUM_GATEWAY_LISTEN"), ("media", "HUM_MEDIA_LISTEN")])
def test_a_port_that_is_taken(plane: str, variable: str, tmp_path: Path) -> None:
    listen = SocketAddress("127.0.0.1", free_port("127.0.0.1"))
    with bind_socket(listen, shared=False) as taken:
        taken.listen()
        program = start("-m", *PROGRAMS[plane], home=tmp_path, **dict[str, Any]({variable: str(listen)}), **LOUD)
        log = log_of(program)
    assert program.returncode == 2
    assert log[-1]["message"].startswith(f"can't listen on {listen} ({variable}): Address already in use")


@pytest.mark.chaos
def test_a_port_that_control_finds_taken(tmp_path: Path, database_url: str) -> None:
    listen = SocketAddress("127.0.0.1", free_port("127.0.0.1"))
    with bind_socket(listen, shared=False) as taken:
        taken.listen()
        settings: dict[str, Any] = {"HUM_CONTROL_LISTEN": str(listen), "HUM_DATABASE_URL": database_url}
        program = start("-m", *PROGRAMS["control"], home=tmp_path, **settings)
        log = log_of(program)
    assert program.returncode == 2
    assert any("Address already in use" in each["message"] for each in log), "gRPC's own words"
    assert log[-1]["message"].startswith(f"can't listen on {listen} (HUM_CONTROL_LISTEN)")


@pytest.mark.chaos
@pytest.mark.parametrize(("plane", "sign"), [("gateway", "gateway is serving"), ("media", "link to control failed")])
def test_a_control_that_is_not_there(plane: str, sign: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "HUM_CONTROL_ADDRESS": NOWHERE,
        "HUM_GATEWAY_WORKERS": "1",
        "linger_seconds": "0",
        **listens(),
    }
    program = start("-m", *PROGRAMS[plane], home=tmp_path, **settings, **LOUD)
    seen = b""
    assert program.stderr is not None
    while sign.encode() not in seen:
        line = program.stderr.readline()
        assert line, seen
        seen += line
    program.send_signal(signal.SIGTERM)
    log = parsed(seen) + log_of(program)
    assert any(sign in each["message"] for each in log)
    overridden = [each for each in log if "overridden" in each["message"]]
    assert [(each["level"], each["constants"]) for each in overridden] == [("warning", ["linger_seconds"])]
    assert any("log.cc" in each["message"] and each["level"] == "warning" for each in log), "gRPC's core has spoken"


BROKEN = """
import asyncio, faulthandler, gc, os, sys, threading, warnings
import uvloop
from hum.process import program; from hum.observe import logs
from hum.settings import Common
program.plane(Common, "test")
logs.log("somewhere").info("one", number=1)

class Bad:
    def __del__(self):
        raise ValueError("in a finalizer")

async def main():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()

async def fails():
    raise LookupError("in a task")

def thread():
    raise OSError("in a thread")

uvloop.run(main())
warnings.warn("an old way", DeprecationWarning)
warnings.warn("a strange value", RuntimeWarning)
threading.Thread(target=thread).start()
Bad()
os.write(2, b"past everything\\n\\n  and on\\n")
print("by print", file=sys.stderr)
"""


def exceptions(log: list[dict[str, Any]]) -> set[str]:
    return {
        f"{each['exception'][0]['exc_type']}: {each['exception'][0]['exc_value']}"
        for each in log
        if "exception" in each
    }


@pytest.mark.chaos
def test_whatever_is_written(tmp_path: Path) -> None:
    program = start("-c", BROKEN + "raise KeyError('nobody caught')", home=tmp_path)
    log = log_of(program)
    assert program.returncode == 1
    assert exceptions(log) == {
        "ZeroDivisionError: division by zero",
        "LookupError: in a task",
        "OSError: in a thread",
        "ValueError: in a finalizer",
        "KeyError: 'nobody caught'",
    }
    messages = [each["message"] for each in log]
    assert {"one", "past everything", "  and on", "by print", "KeyError: 'nobody caught'"} <= set(messages)
    assert any("a strange value" in each for each in messages)


WRITES = """
import os, sys, time
from hum.process import program
from hum.settings import Common
program.plane(Common, "test")
os.write(2, b"before\\n")
for line in sys.stdin:
    os.write(2, line.encode())
"""


@pytest.mark.chaos
def test_the_process_that_writes_the_log_is_followed_by_another(tmp_path: Path) -> None:
    program = start("-c", WRITES, home=tmp_path, stdin=subprocess.PIPE)
    assert program.stderr is not None and program.stdin is not None
    seen = program.stderr.readline()
    for line in (b"one", b"two"):
        (wrapper,) = wrappers(program.pid)
        os.kill(wrapper, signal.SIGKILL)
        while wrappers(program.pid) in ([], [wrapper]):
            time.sleep(0.01)
        program.stdin.write(line + b"\n")
        program.stdin.flush()
        seen += program.stderr.readline()
    program.stdin.close()
    messages = [each["message"] for each in parsed(seen + program.stderr.read())]
    assert program.wait(60) == 0
    assert [each for each in messages if each in {"before", "one", "two"}] == ["before", "one", "two"]


@pytest.mark.chaos
@pytest.mark.parametrize("crash", ["os.abort()", "faulthandler._sigsegv()"])
def test_a_crash_has_its_stack_in_the_log(crash: str, tmp_path: Path) -> None:
    program = start("-c", BROKEN + crash, home=tmp_path)
    log = log_of(program)
    assert program.returncode < 0
    assert any(each["message"].startswith("Fatal Python error") for each in log)
    assert any("<string>" in each["message"] for each in log), "where it crashed"


@pytest.mark.chaos
def test_a_person_at_a_terminal_reads_sentences(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = subprocess.run(
        [sys.executable, "-m", "media.app"],
        env=environment() | {"HUM_HOME": str(tmp_path), "HUM_MAX_CALLS": "0"},
        stderr=theirs,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    assert program.returncode == 2
    assert os.read(ours, 4096).startswith(b"hum: HUM_MAX_CALLS (calls that one process carries")
    os.close(ours)


@pytest.fixture
def at() -> Iterator[str]:
    yield "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("E1125 22:22:05.899105   25288 tcp.cc:110] No address", "error", "E1125 22:22:05.899105   25288 tcp.cc:110] No address"),
        ("I0000 00:00:1764108000.123456 77 x.cc:1] so", "info", "I0000 00:00:1764108000.123456 77 x.cc:1] so"),
        ("hum: a sentence", "error", "a sentence"),
        ('{"broken', "error", '{"broken'),
    ],
)  # fmt: skip
def test_levels(line: str, level: str, message: str, at: str) -> None:
    expected = {"plane": "media", "level": level, "at": at, "message": message}
    assert json.loads(strayoutput.as_json(line, "media", at)) == expected


def test_what_is_json_stays_as_it_is(at: str) -> None:
    assert strayoutput.as_json('{"message": "x",  "n": 1}', "media", at) == '{"message": "x",  "n": 1}'
