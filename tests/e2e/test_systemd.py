"""The units of deploy/systemd: valid, hardened, and run by a real systemd that replaces planes while callers talk.

That systemd is a user's, in namespaces of its own, which takes root; what it can't do there (another user, mounts of the unit's own)
is switched off, and the rest of the hardening is on: system calls, capabilities, address families.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.identity import usecases as identity
from hum.process.sockets import free_port
from hum.settings import environment
from sandbox.openai import Model
from sandbox.twilio import Call, Carrier
from storage.db import Db
from tests.e2e.conftest import ACCOUNT, CALLER, FAST, KEY, NUMBER, TOKEN
from tests.support.patient import PATIENT
from tests.support.programs import variables
from tests.support.waits import patience

pytestmark = [
    pytest.mark.nodes,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed"),
]
ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy/systemd").iterdir())
HUM = "/opt/hum/.venv/bin/hum"
MANAGER = Path("/usr/lib/systemd/systemd")
LISTENS = {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 60_000}
STAYS: list[dict[str, Any]] = [LISTENS, *({"do": "wait", "ms": 2_000}, {"do": "press", "digits": "1"}) * 200]
#: What takes a system's manager, or mounts that a container does not have.
NOT_A_USERS = """
[Service]
User=
Group=
StateDirectory=
WorkingDirectory={home}
EnvironmentFile=
EnvironmentFile={home}/hum.env
PrivateDevices=no
PrivateTmp=no
ProtectClock=no
ProtectControlGroups=no
ProtectHome=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
ProtectKernelTunables=no
ProtectProc=default
ProtectSystem=no
"""
#: A manager needs a control group of its own, and takes a machine for one of systemd's by this folder.
BEGIN = """
mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount -t tmpfs tmpfs /run || exit 1
export XDG_RUNTIME_DIR=/run/user XDG_CONFIG_HOME={home} HOME={home} GROUP=/sys/fs/cgroup/hum-test-$$
mkdir -p /run/systemd/system $GROUP/shell && mkdir -m 700 /run/user && echo $$ > $GROUP/shell/cgroup.procs || exit 1
{manager} --user --log-target=console > {home}/manager.log 2>&1 & MANAGER=$!
"""
END = """
kill $MANAGER; wait $MANAGER; echo $$ > /sys/fs/cgroup/cgroup.procs; find $GROUP -depth -type d -exec rmdir {} + ; exit 0
"""


def installed(folder: Path, changes: dict[str, str]) -> None:
    """The units, with other paths and ports."""
    folder.mkdir(parents=True)
    for unit in UNITS:
        text = unit.read_text()
        for before, after in changes.items():
            text = text.replace(before, after)
        (folder / unit.name).write_text(text)


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    program = tmp_path / "hum"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    installed(tmp_path / "units", {HUM: str(program)})
    files = [str(each) for each in (tmp_path / "units").iterdir()]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", [each for each in UNITS if each.suffix == ".service"], ids=lambda unit: unit.name)
def test_hardening(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", page)
    assert exposure is not None and float(exposure[1]) < 2.0, page[-200:]


#: A cascade of which every part is the stand-in's.
CASCADES = (
    "".join(
        f'[[cascades.clinic.{stage}]]\nurl = "URL"\nmodel = "{stage}"\nkey = "OPENAI_API_KEY"\n'
        for stage in ("ears", "mind", "mouth")
    )
    + 'voice = "alloy"\n'
)


class Manager:
    """A shell beside a user's systemd, in namespaces of their own."""

    def __init__(self, shell: asyncio.subprocess.Process) -> None:
        self._shell = shell

    async def run(self, command: str) -> str:
        """What a command prints; it must end well."""
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(f'{command}\necho "=== $?"\n'.encode())
        printed = b""
        async with asyncio.timeout(100):
            while b"=== " not in printed:
                line = await self._shell.stdout.readline()
                assert line, printed
                printed += line
        text, _, status = printed.decode().rpartition("=== ")
        assert status.strip() == "0", (command, text)
        return text.strip()

    async def state(self, unit: str) -> str:
        return await self.run(f"systemctl --user show --property ActiveState --value {unit}")

    async def becomes(self, unit: str, state: str) -> None:
        async with patience():
            while await self.state(unit) != state:
                await asyncio.sleep(0.1)

    async def replace(self, plane: str, old: str, new: str) -> None:
        """As docs/deploy.md says."""
        start, stop = f"start hum-{plane}@{new}", f"stop --no-block hum-{plane}@{old}"
        await self.run(f"systemctl --user {start} && systemctl --user {stop}")


@pytest.fixture
async def manager(open_home: Path) -> AsyncIterator[Manager]:
    if os.geteuid() != 0:
        pytest.skip("a systemd in namespaces of its own takes root")
    shell = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert shell.stdin is not None
    made = Manager(shell)
    shell.stdin.write(BEGIN.format(home=open_home, manager=MANAGER).encode())
    try:
        await made.run(
            "for each in $(seq 100); do systemctl --user daemon-reload && break; sleep 0.1; done 2>/dev/null"
        )
    except AssertionError as error:
        shell.kill()
        await shell.wait()
        pytest.skip(f"no systemd can run here: {error}")
    yield made
    shell.stdin.write(END.encode())
    await asyncio.wait_for(shell.wait(), 60)


class House:
    def __init__(self, carrier: Carrier, http: httpx.AsyncClient) -> None:
        self.carrier, self.http = carrier, http

    async def talks(self, count: int) -> Call:
        """One more caller, once the agent has answered; `count` calls are in progress then."""
        call = await self.carrier.ring(NUMBER, CALLER, STAYS)
        async with patience():
            while len(await self.calls("in_progress")) < count:
                await asyncio.sleep(0.1)
        return call

    async def calls(self, status: str) -> list[dict[str, Any]]:
        calls = (await self.http.get("/api/calls")).raise_for_status().json()["calls"]
        return [each for each in calls if each["status"] == status]


@pytest.fixture
async def house(manager: Manager, database_url: str, open_home: Path) -> AsyncIterator[House]:
    ports = {plane: free_port("127.0.0.1") for plane in ("control", "gateway", "media", "voice")}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        model = await enter(Model.serve(api_key=KEY, settings=FAST))
        carrier = await enter(Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=0))
        settings = variables(
            {
                "HUM_HOME": str(open_home / "home"),
                "HUM_DATABASE_URL": database_url,
                "HUM_CONTROL_LISTEN": f"127.0.0.1:{ports['control']}",
                "HUM_CONTROL_ADDRESS": f"127.0.0.1:{ports['control']}",
                "HUM_PUBLIC_URL": f"http://127.0.0.1:{ports['gateway']}",
                "HUM_MEDIA_URL": f"ws://127.0.0.1:{ports['media']}",
                "HUM_GATEWAY_WORKERS": "1",
                **PATIENT,
                "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_API_BASE_URL": carrier.url,
                "OPENAI_API_KEY": KEY,
                "OPENAI_BASE_URL": model.url,
                "HUM_CASCADES": str(open_home / "cascades.toml"),
                "HUM_VOICE_URL": f"http://127.0.0.1:{ports['voice']}",
                "PYTHONPATH": str(ROOT),
                "PATH": environment()["PATH"],
            }
        )
        (open_home / "cascades.toml").write_text(CASCADES.replace("URL", model.url))
        (open_home / "hum.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        changes = {HUM: f"{sys.executable} -m cli"}
        changes |= {
            f"127.0.0.1:{port}": f"127.0.0.1:{ports[plane]}"
            for plane, port in (("gateway", 8080), ("media", 8081), ("voice", 8082))
        }
        units = open_home / "systemd/user"
        installed(units, changes)
        for service in units.glob("*@.service"):
            override = units / f"{service.name}.d/here.conf"
            override.parent.mkdir()
            override.write_text(NOT_A_USERS.format(home=open_home))
        await manager.run("systemctl --user daemon-reload")
        await manager.run("systemctl --user start hum-gateway.socket hum-media.socket hum-voice.socket")
        await manager.run("systemctl --user start hum-control@a")
        await manager.run("systemctl --user start hum-gateway@a hum-media@a hum-voice@a hum-worker@a")
        db = await Db.open(database_url, size=2)
        org = await identity.create_organization(db, "Clinic", "o@clinic.example")
        _, secret = await identity.issue_key(db, org, "k", "admin", [])
        await db.close()
        key = {"Authorization": f"Bearer {secret}"}
        http = await enter(httpx.AsyncClient(base_url=settings["HUM_PUBLIC_URL"], headers=key, trust_env=False))
        flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Welcome."})).raise_for_status().json()
        (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})).raise_for_status()
        yield House(carrier, http)
        await manager.run("systemctl --user kill --kill-whom=all --signal=KILL 'hum-*' || true")


@pytest.mark.timeout(400)
async def test_planes_are_replaced_while_a_caller_talks(house: House, manager: Manager) -> None:
    first = await house.talks(1)
    for plane in ("control", "worker", "gateway", "media", "voice"):
        await manager.replace(plane, "a", "b")
    second = await house.talks(2)
    assert not first.is_over
    assert await manager.state("hum-media@a") == "deactivating", "it waits for its caller"
    for plane in ("control", "worker", "gateway"):
        await manager.becomes(f"hum-{plane}@a", "inactive")

    first.hang_up()
    await first.ended()
    await manager.becomes("hum-media@a", "inactive")
    third = await house.talks(2)
    assert await manager.state("hum-media@a") == await manager.state("hum-gateway@a") == "inactive", "one serves"
    for call in (second, third):
        call.hang_up()
        await call.ended()
    async with patience():
        while len(ended := await house.calls("completed")) < 3:
            await asyncio.sleep(0.1)
    assert {each["end_reason"] for each in ended} == {"caller"}
