"""Who watches over programs: a successor before each drain, the orphans of an earlier supervisor, an end at once."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from cli import up
from cli.platform import LISTENS, Platform
from hum.process import home, programs
from hum.process.descriptors import free
from hum.process.homelock import RESTORE, Lock
from hum.process.processes import Process, ProcessIdentity, ProcessSpec
from hum.process.programs import Program, Programs, StartFailed
from hum.settings import UpSettings, environment
from tests.support.present import present
from tests.support.programs import variables
from tests.support.waits import until

#: Serves until it has to drain, then takes as long as it is told to; notes in a file what it does.
PLANE = """
import asyncio, os, sys
from hum.process.lifetime import Lifetime
from hum.settings import Common, load

async def main(notes, leaves_seconds):
    lifetime = Lifetime(load(Common))
    def note(word):
        with open(notes, "a") as file:
            file.write(f"{os.getpid()} {word}\\n")
    note("begins")
    lifetime.report_ready()
    lifetime.report_calls(2)
    await lifetime.wait_for_shutdown()
    note("leaves")
    try:
        await asyncio.wait_for(lifetime.signals.end_now.wait(), leaves_seconds)
        note("ends")
    except TimeoutError:
        pass
    lifetime.report_calls(0)

asyncio.run(main(sys.argv[1], float(sys.argv[2])))
"""
STAND_IN = """
import json, signal, sys
print(json.dumps({"url": "http://127.0.0.1:1"}), flush=True)
signal.sigwait([signal.SIGTERM])
"""


class House:
    """Programs, and what they noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.programs = Programs(self.said.append)

    def plane(self, leaves_seconds: float = 0.0, code: str = PLANE, **settings: str) -> Program:
        arguments = ("-c", code, str(self.folder / "notes"), str(leaves_seconds))
        return Program("plane", ProcessSpec(arguments, variables(environment() | settings), self.folder / "plane.log"))

    def notes(self) -> list[tuple[int, str]]:
        lines = (self.folder / "notes").read_text().splitlines() if (self.folder / "notes").exists() else []
        return [(int(line.split()[0]), line.split()[1]) for line in lines]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    end_now = asyncio.Event()
    end_now.set()
    await made.programs.stop(end_now)


async def test_a_successor_serves_before_a_process_leaves(house: House) -> None:
    plane = house.plane()
    await house.programs.start(plane)
    await until(lambda: house.programs.calls == 2)
    first = present(plane.process).pid
    os.kill(first, signal.SIGTERM)
    await until(lambda: present(plane.process).pid != first and len(plane.processes) == 1)
    second = present(plane.process).pid
    assert house.notes() == [(first, "begins"), (second, "begins"), (first, "leaves")]
    assert house.said == [], "nothing died"


@pytest.mark.chaos
async def test_one_that_gets_no_successor_serves_on_and_leaves_after_a_while(house: House) -> None:
    plane = house.plane(successor_seconds="8")
    await house.programs.start(plane)
    first = present(plane.process).pid
    plane.command = ProcessSpec(("-c", "import sys; sys.exit('a bug')"), environment(), house.folder / "plane.log")
    os.kill(first, signal.SIGTERM)
    await until(lambda: any("a bug" in sentence for sentence in house.said))
    assert house.notes() == [(first, "begins")]
    await until(lambda: (first, "leaves") in house.notes())


@pytest.mark.chaos
async def test_a_second_signal_ends_a_process_at_once(house: House) -> None:
    plane = house.plane(leaves_seconds=60)
    await house.programs.start(plane)
    first = present(plane.process).pid
    os.kill(first, signal.SIGTERM)
    await until(lambda: (first, "leaves") in house.notes())
    plane.processes[0].drain()  # asked again to drain, it takes its time
    plane.processes[0].drain()
    await asyncio.sleep(0.2)
    assert ProcessIdentity.of(first)
    os.kill(first, signal.SIGTERM)
    await until(lambda: ProcessIdentity.of(first) is None)
    assert (first, "ends") in house.notes()


@pytest.mark.chaos
async def test_end_now_ends_all_that_are_left_together() -> None:
    """By their order, each in its own time; after a second Ctrl-C nobody waits for the one before."""

    class Slow:
        def __init__(self, name: str, stop_order: int) -> None:
            self.name, self.stop_order = name, stop_order
            self.processes: list[Process] = []

        async def stop(self, end_now: asyncio.Event) -> None:
            began.append(self.name)
            await end_now.wait()
            await all_stop.wait()  # it ends only if all of them are being ended
            ended.append(self.name)

    began: list[str] = []
    ended: list[str] = []
    all_stop, end_now = asyncio.Barrier(3), asyncio.Event()
    several = Programs(lambda _: None)
    several.all += [cast("Program", Slow(name, order)) for order, name in enumerate("abc")]
    stopping = asyncio.create_task(several.stop(end_now))
    await until(lambda: began)
    for _ in range(20):
        await asyncio.sleep(0)
    assert began == ["c"]
    end_now.set()
    await asyncio.wait_for(stopping, 60)
    assert began == ["c", "b", "a"] and sorted(ended) == ["a", "b", "c"]


@pytest.mark.chaos
async def test_one_that_is_killed_is_restarted(house: House) -> None:
    plane = house.plane()
    await house.programs.start(plane)
    first = present(plane.process).pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: present(plane.process).pid != first and present(plane.process).is_ready)
    assert house.said == ["plane exited with status -9; restarting it"]


@pytest.mark.chaos
async def test_one_that_is_killed_before_it_serves_ends_nobody(house: House) -> None:
    killed_twice = PLANE.replace(
        "    lifetime.report_ready()",
        '    open(notes).read().count("begins") > 2 or os.kill(os.getpid(), 9)\n    lifetime.report_ready()',
    )
    plane = house.plane(code=killed_twice)
    await house.programs.start(plane)
    assert present(plane.process).is_ready and len(house.notes()) == 3
    assert len(house.said) == 2 and all("starting it again" in sentence for sentence in house.said)


@pytest.mark.chaos
async def test_one_that_is_killed_at_each_start_is_given_up(house: House) -> None:
    plane = house.plane(code="import os; os.kill(os.getpid(), 9)")
    with pytest.raises(StartFailed):
        await house.programs.start(plane)
    assert len(house.said) == programs.KILLED_STARTS - 1


@pytest.mark.chaos
async def test_one_that_keeps_dying_waits_and_ends_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on, and it serves again as soon as it can."""
    monkeypatch.setattr(programs, "LONGEST_WAIT_SECONDS", 0.4)
    plane, other = house.plane(), house.plane()
    other.name = "other"
    await house.programs.start(plane, other)
    first, pid, works = present(plane.process).pid, present(other.process).pid, plane.command
    plane.command = ProcessSpec(("-c", "import sys; sys.exit('a bug')"), environment(), house.folder / "plane.log")
    os.kill(first, signal.SIGKILL)
    await until(lambda: sum("keeps exiting" in sentence for sentence in house.said) >= 6)
    waits = [sentence.rpartition(" in ")[2] for sentence in house.said if "keeps exiting" in sentence]
    assert waits[:3] == ["0.2 s", "0.4 s", "0.4 s"] and "a bug" in house.said[-1]
    plane.command = works
    await until(lambda: present(plane.process).is_ready and present(plane.process).is_alive())
    assert present(other.process).pid == pid and present(other.process).is_alive()


@pytest.mark.chaos
async def test_one_that_the_system_has_no_room_for_is_tried_again(house: House) -> None:
    plane = house.plane()
    await house.programs.start(plane)
    first, startable = present(plane.process).pid, plane.command
    blocked = house.folder / "blocked"
    blocked.touch()
    plane.command = replace(startable, log=blocked / "plane.log")
    os.kill(first, signal.SIGKILL)
    await until(lambda: any("could not be started" in sentence for sentence in house.said))
    plane.command = startable
    await until(lambda: present(plane.process).pid != first and present(plane.process).is_ready)


@pytest.mark.chaos
async def test_a_system_without_room_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LONGEST_WAIT_SECONDS", 0.1)
    plane = house.plane()
    await house.programs.start(plane)
    first, startable = present(plane.process).pid, plane.command
    plane.command = replace(startable, log=Path("/dev/null/plane.log"))
    os.kill(first, signal.SIGKILL)
    await until(lambda: sum("could not be started" in sentence for sentence in house.said) >= 10)
    plane.command = startable
    await until(lambda: present(plane.process).pid != first and present(plane.process).is_ready)


@pytest.mark.chaos
async def test_a_note_that_can_not_be_written_keeps_nobody_from_restarting(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk."""
    sockets = dict.fromkeys(LISTENS.values(), "127.0.0.1:1")
    platform = Platform(UpSettings(home=house.folder / "home"), environment=environment() | sockets)
    house.programs, plane = platform.programs, house.plane()
    await house.programs.start(plane)
    first = present(plane.process).pid
    (house.folder / "home" / "programs.json.new").mkdir()
    os.kill(first, signal.SIGKILL)
    await until(lambda: present(plane.process).pid != first and present(plane.process).is_ready)
    assert "could not write programs.json" in capsys.readouterr().err


async def test_a_process_that_can_not_be_started_leaves_no_descriptor(house: House) -> None:
    plane = house.plane()
    plane.command = replace(plane.command, log=Path("/dev/null/plane.log"))
    before = free()
    with pytest.raises(StartFailed, match="could not be started"):
        await plane.launch(lambda: None)
    assert free() == before


@pytest.mark.chaos
async def test_what_an_earlier_supervisor_left_is_taken_over(house: House, tmp_path: Path) -> None:
    carrier = ("-c", STAND_IN)
    before = Programs(print)
    left = house.plane(leaves_seconds=1.0)
    stand_in = Program("carrier", ProcessSpec(carrier, environment(), tmp_path / "carrier.log", supervised=False))
    unwanted = Program("model", ProcessSpec(carrier, environment(), tmp_path / "model.log", supervised=False))
    await before.start(stand_in, unwanted, left)
    known = before.running()
    await before.hand_over()
    gone = {"name": "plane", "pid": os.getpid(), "began_ticks": 1, "leaves": True, "arguments": [], "serves": True}

    house.programs.adopt([*known, gone | {"announced": {}}])
    assert house.programs.announcement("carrier") == {"url": "http://127.0.0.1:1"}
    plane = house.plane()
    same = Program("carrier", stand_in.command)
    await house.programs.start(same, plane)
    await house.programs.end_orphans()
    assert present(same.process).pid == present(stand_in.process).pid
    assert present(unwanted.process).status is not None
    await until(lambda: len(plane.processes) == 1)
    old, new = present(left.process).pid, present(plane.process).pid
    assert house.notes() == [(old, "begins"), (new, "begins"), (old, "leaves")]


@pytest.mark.chaos
async def test_a_successor_that_can_not_start_leaves_what_runs(house: House) -> None:
    before = Programs(print)
    left = house.plane()
    await before.start(left)
    await before.hand_over()
    house.programs.adopt(before.running())
    broken = house.plane(code="import sys; sys.exit('a bug')")
    with pytest.raises(StartFailed, match="a bug"):
        await house.programs.start(broken)
    assert present(left.process).is_alive()
    assert house.notes() == [(present(left.process).pid, "begins")]
    later = Programs(print)
    later.adopt(house.programs.running())
    assert later.adopted, "the next one finds it still"


async def test_only_the_end_of_a_log_is_repeated(house: House) -> None:
    plane = house.plane(code="import sys; sys.exit('x' * 10_000 + 'the reason')")
    with pytest.raises(StartFailed, match=r"x+the reason$") as failed:
        await plane.launch(lambda: None)
    assert len(str(failed.value)) < 700


@pytest.mark.chaos
async def test_those_of_one_order_leave_together_and_each_is_told(house: House) -> None:
    told: list[str] = []
    house.programs.on_stopped = lambda name, _ms: told.append(name)
    first, second, last = house.plane(leaves_seconds=2.0), house.plane(leaves_seconds=2.0), house.plane()
    first.name, first.stop_order = "first", 1
    second.name, second.stop_order = "second", 1
    await house.programs.start(first, second, last)
    last_pid = present(last.process).pid
    await house.programs.stop()
    notes = house.notes()
    assert [word for _, word in notes[:5]] == ["begins", "begins", "begins", "leaves", "leaves"]
    assert notes[5:] == [(last_pid, "leaves")]
    assert sorted(told[:2]) == ["first", "second"] and told[2:] == ["plane"]
    assert not first.processes
    assert not second.processes


@pytest.mark.chaos
async def test_others_than_planes_hear_of_a_stop_before_their_turn(house: House) -> None:
    """The database then writes to disk while the planes still drain."""
    prepares = STAND_IN.replace(
        "signal.sigwait", "print(signal.sigwait([signal.SIGURG]).name, file=sys.stderr)\nsignal.sigwait"
    )
    block = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG, signal.SIGTERM])"
    log = house.folder / "stand-in.log"
    stand_in = ProcessSpec(("-uc", block + prepares), environment(), log, supervised=False)
    plane = house.plane(leaves_seconds=60.0)
    plane.stop_order = 1
    await house.programs.start(plane, Program("stand-in", stand_in))
    end_now = asyncio.Event()
    stopping = asyncio.create_task(house.programs.stop(end_now))
    await until(lambda: "SIGURG" in log.read_text())
    assert plane.process is not None and plane.process.is_alive()
    end_now.set()
    await stopping


async def test_what_is_not_written_by_a_program_is_no_harm(tmp_path: Path) -> None:
    command = ProcessSpec(("-c", "print('not for us')"), environment(), tmp_path / "log", supervised=False)
    with pytest.raises(StartFailed):
        await Programs(print).start(Program("p", command))
    process = Process(ProcessIdentity(os.getpid(), 0))
    process._process_line("calls many")
    process._process_line("")
    assert (process.calls, process.is_ready) == (0, False)


@pytest.mark.parametrize("text", ['{"programs": [', "[]", "\0"])
def test_a_damaged_note_is_as_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "programs.json").write_text(text)
    assert home.read_facts(tmp_path, "programs.json") == {}
    assert "programs.json is damaged" in capsys.readouterr().err


async def test_addresses_that_can_not_be_written_keep_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nothing(_: Platform) -> None: ...

    monkeypatch.setattr(Platform, "_start_outside", nothing)
    monkeypatch.setattr(Platform, "_start_planes", nothing)
    sockets: dict[str, Any] = {f"{plane}_listen": "127.0.0.1:0" for plane in LISTENS}
    platform = Platform(UpSettings(home=tmp_path, **sockets), environment=environment())
    (tmp_path / "run.json.new").mkdir()
    await platform.start()
    assert "could not write run.json" in capsys.readouterr().err
    await platform.stop()


async def test_a_home_that_can_not_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "up.lock").mkdir()
    monkeypatch.setenv("HUM_HOME", str(tmp_path))
    assert await up.run() == 1
    assert "up.lock" in capsys.readouterr().err


async def test_nothing_starts_in_a_home_that_a_backup_is_restored_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restoring = Lock(tmp_path, RESTORE)
    await restoring.acquire()
    monkeypatch.setenv("HUM_HOME", str(tmp_path))
    assert await up.run(replace=True) == 2
    assert f"hum: `hum restore` runs in {tmp_path}: process {os.getpid()}, since" in capsys.readouterr().err
    restoring.release()
