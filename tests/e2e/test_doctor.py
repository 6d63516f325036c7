"""`hum doctor` beside the whole platform, right and wrong; it says how to fix it, ends in time, and shows no secret."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli import doctor
from cli.doctor import probes
from cli.doctor.facts import DatabaseFacts, EngineFacts
from hum.process import home
from hum.process.sockets import free_port
from hum.settings import UpSettings
from sandbox.signin import Issuer
from storage.facts import facts
from tests.e2e.conftest import ACCOUNT, KEY, NUMBER, TOKEN, House
from tests.support.programs import variables
from tests.support.waits import patience

WRONG = "a-secret-that-is-wrong"
GOING_LIVE = Path(__file__).parents[2] / "docs" / "going-live.md"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer.serve(client_secret="s", redirect_uri="http://127.0.0.1/auth/callback") as issuer:
        yield issuer


@pytest.fixture
async def settings(house: House, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the planes."""
    await house.answer_with(greeting="Hello.")
    chosen = {
        "HUM_HOME": str(house.home),
        "HUM_DATABASE_URL": house.database_url,
        "HUM_CONTROL_ADDRESS": f"127.0.0.1:{house.control.port}",
        "HUM_PUBLIC_URL": str(house.http.base_url).rstrip("/"),
        "HUM_MEDIA_URL": f"ws://127.0.0.1:{house.media.port}",
        "HUM_OIDC_ISSUER": issuer.url,
        "HUM_OIDC_CLIENT_ID": "hum",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_BASE_URL": house.carrier.url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": house.model.url,
        "doctor_seconds": "30",
    }
    for name, value in variables(chosen).items():
        monkeypatch.setenv(name, value)
    return chosen


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A media process that is as it should be: to look takes a second."""

    async def found(_: float) -> EngineFacts:
        return EngineFacts(compiled=True, blas="openblas", blas_threads=1)

    monkeypatch.setattr(probes, "engine", found)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is looked at from here: a program of its own takes half a second each time."""

    async def found(config: UpSettings, _: float) -> DatabaseFacts:
        return DatabaseFacts(**await facts(config.database_url))

    monkeypatch.setattr(probes, "database", found)


class Visit:
    """What `hum doctor --json` says."""

    def __init__(self, status: int, printed: str) -> None:
        self.status, self.printed = status, printed
        self.findings: list[dict[str, Any]] = json.loads(printed)

    def fixes(self) -> set[str]:
        # The server of tests is fast and forgets: fsync and the like are off.
        return {
            each["about"]
            for each in self.findings
            if not each["ok"] and not (each["about"] == "database" and each["what"].endswith(" is off"))
        }

    def said(self, about: str) -> str:
        return " ".join(f"{each['what']}: {each['fix']}" for each in self.findings if each["about"] == about)


@pytest.fixture
def visit(capsys: pytest.CaptureFixture[str]) -> Any:
    async def visit() -> Visit:
        capsys.readouterr()
        status = await doctor.run(as_json=True)
        return Visit(status, capsys.readouterr().out.splitlines()[-1])

    return visit


@pytest.mark.chaos
async def test_all_is_well(settings: dict[str, str], visit: Any) -> None:
    seen = await visit()
    assert seen.fixes() == set(), seen.printed
    about = {each["about"] for each in seen.findings}
    assert {"settings", "keys", "home", "database", "control", "carrier", "numbers", "model", "sign-in"} < about
    steps = set(re.findall(r"`ok ([^`]+)`", GOING_LIVE.read_text()))
    assert len(steps) > 10 and steps <= about, "each step of the guide is checked"
    assert seen.said("media") == "1 of 1 processes take calls; they have 250 places: "
    assert "an agent answers each of 1 numbers" in seen.said("agents")
    assert {"public URL", "media URL", "BLAS", "core", "open files", "clock"} < about
    assert "fsync is off" in seen.said("database"), "the server of tests"
    assert seen.status == 1, "because of that"
    assert "1 of HUM's point here" in seen.said("numbers")
    for secret in (TOKEN, KEY, settings["HUM_DATABASE_URL"].split(":")[2].split("@")[0]):
        assert secret not in seen.printed


@pytest.mark.chaos
async def test_a_bus_that_is_away(
    settings: dict[str, str], engine: None, database: None, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUM_BUS_URL", f"nats://hum:{WRONG}@127.0.0.1:{free_port('127.0.0.1')}")
    seen = await visit()
    assert seen.fixes() == {"bus"}
    assert "can't be reached" in seen.said("bus") and "HUM_BUS_URL" in seen.said("bus")
    assert WRONG not in seen.printed


async def test_the_way_to_the_first_call(
    settings: dict[str, str], engine: None, database: None, visit: Any, house: House
) -> None:
    assert "call one of the numbers" in (await visit()).said("calls")
    call = await house.ring({"do": "wait_for_agent_to_talk"}, {"do": "hang_up"})
    await call.ended()
    await house.record()
    seen = await visit()
    assert "completed, caller" in seen.said("calls") and "calls" not in seen.fixes()
    number = (await house.http.get("/api/numbers")).json()["numbers"][0]
    assert (await house.http.patch(f"/api/numbers/{number['id']}", json={"flow_id": None})).status_code == 200
    seen = await visit()
    assert seen.fixes() == {"agents"} and NUMBER in seen.said("agents")


#: What is changed, what is found wrong then, and words of the fix.
CASES: tuple[tuple[dict[str, str], set[str], str], ...] = (
    ({"TWILIO_AUTH_TOKEN": WRONG}, {"carrier", "public URL", "media URL"}, "correct TWILIO_AUTH_TOKEN"),
    ({"TWILIO_ACCOUNT_SID": "AC" + "9" * 32}, {"carrier", "public URL"}, "AC999"),
    ({"OPENAI_API_KEY": WRONG}, {"model"}, "correct OPENAI_API_KEY"),
    ({"HUM_NODE_KEY": WRONG}, {"control"}, "HUM_NODE_KEY"),
    ({"HUM_OIDC_CLIENT_ID": ""}, {"settings"}, "HUM_OIDC_CLIENT_ID"),
    ({"max_connections": "500000"}, {"open files"}, "LimitNOFILE"),
)


@pytest.mark.chaos
async def test_what_is_wrong_is_named_with_its_fix(
    settings: dict[str, str], engine: None, database: None, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changes, about, words in CASES:
        with monkeypatch.context() as changed:
            for name, value in variables(settings | changes).items():
                changed.setenv(name, value)
            seen = await visit()
        assert (seen.status, seen.fixes()) == (1, about), seen.printed
        assert words in seen.printed
        assert WRONG not in seen.printed


@pytest.mark.chaos
async def test_a_database_that_refuses_us(
    settings: dict[str, str], engine: None, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = settings["HUM_DATABASE_URL"].rpartition("@")[2]
    monkeypatch.setenv("HUM_DATABASE_URL", f"postgresql://hum:{WRONG}@{server}")
    seen = await visit()
    assert seen.fixes() == {"database"}
    assert f"can't use {server}: password authentication failed" in seen.said("database")
    assert WRONG not in seen.printed


@pytest.mark.chaos
async def test_urls_that_are_not_those_of_the_planes(
    settings: dict[str, str], engine: None, database: None, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a proxy that changes the host, or a tunnel whose name is a new one."""
    for name in ("HUM_PUBLIC_URL", "HUM_MEDIA_URL"):
        monkeypatch.setenv(name, settings[name].replace("127.0.0.1", "localhost"))
    seen = await visit()
    assert seen.fixes() == {"numbers", "public URL", "media URL"}, seen.printed
    assert NUMBER in seen.said("numbers")
    assert "unchanged" in seen.said("public URL") and "unchanged" in seen.said("media URL")


@pytest.mark.chaos
async def test_who_never_answers_is_not_waited_for(
    settings: dict[str, str], engine: None, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    for name in ("TWILIO_API_BASE_URL", "OPENAI_BASE_URL", "HUM_OIDC_ISSUER", "HUM_PUBLIC_URL"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    monkeypatch.setenv("HUM_MEDIA_URL", f"ws://127.0.0.1:{port}")
    monkeypatch.setenv("HUM_CONTROL_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setenv("HUM_DATABASE_URL", f"postgresql://hum:{WRONG}@127.0.0.1:{port}/hum")
    monkeypatch.setenv("HUM_OVERRIDES", "doctor_seconds=1")
    async with patience():
        seen = await visit()
    wanted = {"database", "control", "carrier", "model", "sign-in", "public URL", "media URL"}
    assert seen.fixes() == wanted, seen.printed
    for writer in held:
        writer.close()
    silent.close()


async def test_settings_that_can_not_be_read(monkeypatch: pytest.MonkeyPatch, visit: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("HUM_HOME", str(tmp_path))
    monkeypatch.setenv("HUM_MAX_CALLS", "many")
    seen = await visit()
    assert (seen.status, [each["about"] for each in seen.findings]) == (1, ["settings"])
    assert "HUM_MAX_CALLS" in seen.printed


async def test_where_nothing_runs_it_says_so_and_makes_nothing(
    engine: None, monkeypatch: pytest.MonkeyPatch, visit: Any, tmp_path: Any
) -> None:
    monkeypatch.setenv("HUM_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("HUM_OVERRIDES", "doctor_seconds=30")
    seen = await visit()
    assert (seen.status, seen.fixes()) == (1, {"platform"})
    assert "hum up" in seen.said("platform")
    assert not (tmp_path / "new").exists()


async def test_a_home_that_can_not_be_written(
    engine: None, monkeypatch: pytest.MonkeyPatch, visit: Any, tmp_path: Any
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HUM_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("HUM_OVERRIDES", "doctor_seconds=30")
    monkeypatch.setattr(home, "read_run", lambda _: {})
    assert "home" in (await visit()).fixes()


@pytest.mark.chaos
async def test_what_listens_nowhere(
    settings: dict[str, str], engine: None, database: None, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{free_port('127.0.0.1')}/v1")
    seen = await visit()
    assert seen.fixes() == {"model"}
    assert "refused" in seen.said("model").lower()
