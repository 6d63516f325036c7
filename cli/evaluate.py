"""`hum eval run` and `hum eval compare`: scenarios against a platform of its own, over the telephone.

It starts everything on free ports in a home of its own, creates an organization and a number, and places each scenario's calls with a
simulated caller who hears.  Nothing of another platform is touched.
"""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from cli import banner, simulate
from cli.clinic import ENVIRONMENT, INTERRUPTED, PLANES, Client, Clinic, RequestFailed, on_free_ports
from cli.evaltexts import Handset
from cli.platform import Platform
from cli.scratchhome import scratch_home
from cli.simulate import CallTarget
from evals import report, results, runner, scenario, versions
from evals.brains import brain_of
from evals.checks import CarrierAudio
from evals.flowfile import CHANNELS, FlowFile, at_address
from evals.livecaller import LiveCaller
from evals.results import IMPOSSIBLE, PASSED, ResultFile, Run, scenario_verdict
from evals.runner import Called, CallFailed, Place, RunMaker
from evals.scenario import BadSuite, Scenario, Suite
from evals.statistics import Comparison
from evals.toolserver import ToolServer
from evals.versions import VersionPlan
from evals.world import RunningWorld, World
from hum.clock import monotonic_ms
from hum.process import home
from hum.process.homelock import AlreadyRunning
from hum.process.programs import StartFailed
from hum.process.signals import Signals
from hum.settings import UpSettings, keep_only, load
from hum.settings import environment as own_environment
from sandbox.audio import BYTES_PER_MS
from sandbox.speech import Speech
from sandbox.twilio import Call, simulate_call
from sandbox.twilio import Path as Network

PATIENCE_SECONDS = 60.0
#: The settings that reach the platform: where it may write, and the model, which is a part of the agent.
KEPT = frozenset(
    {
        "HUM_HOME",
        "HUM_LOG_LEVEL",
        "HUM_MEDIA_INTERPRETED",
        "HUM_OVERRIDES",
        "HUM_REALTIME_MODELS",
        "HUM_SPEECH_MODEL",
        "HUM_TEXT_MODEL",
        "HUM_TRANSCRIBE_MODEL",
        "HUM_VOICES",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    }
)
#: The flows' tools ask the runner's tool server.
TOOLS_ON_LOOPBACK = {"HUM_EGRESS_ALLOW": "127.0.0.1/32"}
#: Numbers of callers.
CALLERS = 9000
ENDED = frozenset({"completed", "failed", "canceled", "no_answer", "busy"})


class Telephone:
    """Calls to one number of one organization, whose flow is the scenario's."""

    def __init__(
        self,
        client: Client,
        target: CallTarget,
        number: tuple[str, str],
        model_url: str,
        speech: Speech,
        tools: ToolServer,
        carrier_url: str,
    ) -> None:
        self._client, self._target, self._speech, self._model_url = client, target, speech, model_url
        self._tools, self._carrier_url = tools, carrier_url
        self._e164, self._number_id = number
        self._flows: list[FlowFile] = []
        self._flow_ids: list[str] = []
        self._secrets = set[str]()
        self._flow: FlowFile | None = None
        self._flow_is_free = asyncio.Lock()
        self._callers = count(secrets.randbelow(CALLERS))

    async def create_flows(self, flows: Iterable[FlowFile]) -> None:
        """Create all flows, so that one that is refused is known before the first call.  Raises RequestFailed."""
        for flow in flows:
            if flow not in self._flows:
                made = await self._client.post("/api/flows", dict(flow.flow))
                await self._create_tools(flow, made["id"])
                self._flows.append(flow)
                self._flow_ids.append(made["id"])

    async def _create_tools(self, flow: FlowFile, flow_id: str) -> None:
        """Create a flow's tools with the tool server's addresses, and bind them.  Raises RequestFailed."""
        for name in flow.secrets:
            if name not in self._secrets:
                secret = {"name": name, "host": "127.0.0.1", "value": secrets.token_hex(8)}
                await self._client.post("/api/tool-secrets", secret)
                self._secrets.add(name)
        number = len(self._flows)
        addresses = self._tools.add(flow, number)
        for tool in flow.tools:
            name = tool["name"]
            # Flows may have tools of one name, and an organization has one of each.
            created = {**at_address(tool, addresses[name]), "name": f"{name[:50]}_{number}"}
            made = await self._client.post("/api/tools", created)
            await self._client.post(f"/api/flows/{flow_id}/tools", {"tool_id": made["id"], "name": name})

    async def place(self, wanted: Scenario, flow: FlowFile, seed: int) -> Called:
        """Place one call and return what came of it.  Raises CallFailed."""
        try:
            async with self._flow_is_free:
                await self._set_flow(flow)
            # No two calls that go on beside each other are of one caller.
            caller = f"+1317555{1000 + next(self._callers) % CALLERS}"
            world = self._tools.begin(caller, wanted.world or World())
            try:
                if wanted.channel == "text":
                    handset = Handset(self._client, self._carrier_url, caller, (self._e164, self._number_id))
                    return await handset.converse(wanted, world)
                return await self._call(wanted, caller, world, seed)
            finally:
                self._tools.end(caller)
        except (RequestFailed, aiohttp.ClientError, TimeoutError) as error:
            raise CallFailed(str(error) or "a part did not answer in time") from error

    async def _set_flow(self, flow: FlowFile) -> None:
        """Let the number's calls go to this flow; those that go on beside have the same one."""
        if flow == self._flow:
            return
        self._flow = None
        id = self._flow_ids[self._flows.index(flow)]
        is_text = flow.flow.get("channel") == CHANNELS["text"]
        change = {"sms_flow_id": id, "sms_enabled": True} if is_text else {"flow_id": id}
        await self._client.patch(f"/api/numbers/{self._number_id}", change)
        if self._model_url:
            async with self._client.http.put(f"{self._model_url}/sandbox/script", json=dict(flow.stand_in)) as answer:
                if answer.status >= 400:
                    raise CallFailed(f"the stand-in model refuses its script: {await answer.text()}")
        self._flow = flow

    async def _call(self, wanted: Scenario, from_: str, world: RunningWorld, seed: int) -> Called:
        persona = wanted.persona
        brain = brain_of(wanted)

        async def mouth(text: str) -> bytes:
            return await self._speech.say(text, persona.voice)

        caller, began_ms = LiveCaller(brain, persona, self._speech.hear, mouth, seed), monotonic_ms()
        call = await simulate_call(
            f"{self._target.public_url}/twilio/voice",
            account_sid=self._target.account_sid,
            auth_token=self._target.auth_token,
            to=self._e164,
            from_=from_,
            caller=caller,
            path=Network(seed=seed),
            status_callback=f"{self._target.public_url}/twilio/voice/status",
        )
        try:
            async with asyncio.timeout(wanted.most_seconds):
                async for _ in call.events():
                    pass
        except TimeoutError:
            pass
        finally:
            caller.leave()
            call.hang_up()
            await simulate.wait_until_ended(call)
        if not simulate.call_id(call):
            raise CallFailed(f"the call was not connected: {call.errors or call.sentences}")
        record = await self._record(simulate.call_id(call))
        seconds = (monotonic_ms() - began_ms) / 1000
        return Called(
            record,
            _played(call),
            caller.conduct,
            caller.gave_up,
            seconds,
            call.worst_lateness_ms,
            caller.heard_words,
            world.state,
            world.gaps,
            call.truth.wav(),
        )

    async def _record(self, id: str) -> Mapping[str, Any]:
        """Return the call's record once its after-call work is done."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                record = await self._client.get(f"/api/calls/{id}")
                if record["status"] in ENDED and record["summary"] is not None:
                    return record
                await asyncio.sleep(0.2)


def _played(call: Call) -> list[CarrierAudio]:
    return [
        CarrierAudio(
            [(segment.start_ms, len(segment.payload) / BYTES_PER_MS) for segment in stream.playout.segments],
            [clear.received_at_ms for clear in stream.playout.clears],
        )
        for stream in call.streams
    ]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A platform of its own with an organization that has these flows, and work that places calls to it."""

    settings: UpSettings
    signals: Signals
    flows: Iterable[FlowFile]
    speaks: bool
    work: Callable[[Place], Awaitable[None]]

    async def run(self) -> None:
        """Start everything, and do the work.  Raises StartFailed, AlreadyRunning, RequestFailed, CallFailed."""
        number = f"+1317555{secrets.randbelow(9000) + 1000}"
        environment = ENVIRONMENT | own_environment() | TOOLS_ON_LOOPBACK
        platform = Platform(self.settings, (number,), None, PLANES, environment)
        platform.programs.on_started = lambda name, ms: _print(banner.started(name, ms))
        speech = Speech()
        try:
            await platform.start()
            if self.speaks:
                await speech.warm_up()
            clinic = await Clinic.create(self.settings, number, "eval@example.com")
            headers = {"Authorization": f"Bearer {clinic.key}"}
            async with (
                aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as http,
                ToolServer.serve() as tools,
            ):
                client = Client(http, platform.where["gateway_url"])
                model_url = str(URL(platform.where["model_url"]).origin()) if "model_url" in platform.where else ""
                target = CallTarget.find(self.settings)
                telephone = Telephone(
                    client, target, (number, clinic.number_id), model_url, speech, tools, platform.where["carrier_url"]
                )
                await telephone.create_flows(self.flows)
                await self.work(telephone.place)
        finally:
            speech.close()
            await platform.stop(self.signals.end_now)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _report(done: Sequence[tuple[Scenario, Sequence[Run]]]) -> int:
    """Print each scenario's verdict; return the exit status."""
    verdicts = [scenario_verdict(wanted, runs) for wanted, runs in done]
    for (wanted, runs), verdict in zip(done, verdicts, strict=True):
        _print(f"{verdict:8} {sum(run.verdict == 'passed' for run in runs)}/{wanted.runs}  {wanted.name}")
    return results.status(verdicts, [run for _, runs in done for run in runs])


async def run(arguments: argparse.Namespace) -> int:
    """Return 0 if all passed, 1 if some failed, 2 if nothing could be run, 3 if too few runs say anything."""
    try:
        suite = _suite(arguments)
        file = ResultFile(_path(arguments.out))
        plan = runner.plan(suite, arguments.only, _path(arguments.flow), arguments.seed, _path(arguments.junit))
        plan.write_junit(file)
    except (BadSuite, OSError, ValueError, TypeError) as error:
        return _refuse(str(error))
    _print(f"{plan.calls} calls, of at most {plan.most_minutes:g} minutes together.")

    async def work(place: Place) -> None:
        maker = RunMaker(place, file, _print, arguments.seed, arguments.budget)
        await runner.run(plan, maker, file, arguments.jobs)

    return await _on_platform(plan.suite, plan.flows.values(), work) or _report(plan.runs(file))


async def compare(arguments: argparse.Namespace) -> int:
    """Return 0 if `--flow` is not shown to be worse than `--against`, 1 if it is, 2 and 3 as `run`."""
    try:
        suite = runner.choose(_suite(arguments), arguments.only)
        before, after = (runner.flows_of(suite, _path(name)) for name in (arguments.against, arguments.flow))
        plan, file = VersionPlan(suite, before, after), ResultFile(_path(arguments.out))
    except (BadSuite, OSError, ValueError, TypeError) as error:
        return _refuse(str(error))
    (least, most), (least_minutes, most_minutes) = plan.calls, plan.minutes
    _print(f"{least} to {most} calls, of at most {least_minutes:g} to {most_minutes:g} minutes together.")
    found: list[Comparison] = []

    async def work(place: Place) -> None:
        maker = RunMaker(place, file, _print, arguments.seed, arguments.budget)
        found.append(await versions.run(plan, maker))

    if status := await _on_platform(suite, [*before.values(), *after.values()], work):
        return status
    for line in versions.lines(found[0]):
        _print(line)
    return versions.status(found[0])


def show(arguments: argparse.Namespace) -> int:
    """Write a page of the runs in a file; return 0, or 2 if it can't be read or written."""
    file = Path(arguments.file)
    out = _path(arguments.out) or file.with_suffix(".html")
    try:
        if out.resolve() == file.resolve():
            raise ValueError("the page would replace the runs; choose another --out")
        runs = list(results.read_runs(file.read_bytes()))
        folder = results.audio_folder(file)
        # The page finds the recordings beside it.
        if out.resolve().parent != file.resolve().parent:
            raise ValueError(f"write the page beside {folder}, which has the recordings")
        out.write_text(report.page(f"hum eval: {file.name}", runs, folder))
    except (OSError, ValueError) as error:
        return _refuse(f"hum eval: {error}")
    _print(f"{out}: {len(runs)} runs")
    return PASSED


def _suite(arguments: argparse.Namespace) -> Suite:
    return scenario.load([Path(file) for file in arguments.files])


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


async def _on_platform(suite: Suite, flows: Iterable[FlowFile], work: Callable[[Place], Awaitable[None]]) -> int:
    """Start a platform and do the work; return 0, or the process's exit status if nothing came of it."""
    speaks = any(scenario.channel == "voice" for _, scenario in suite.scenarios)
    if speaks and not Speech.available():
        return _refuse("hum eval: the extra `speech` is not installed: pip install 'hum[speech]'")
    keep_only(KEPT)
    config = load(UpSettings)
    home.require(config.home)
    async with scratch_home(config.home, "eval") as folder:
        evaluation = Evaluation(on_free_ports(config, folder), Signals(), flows, speaks, work)
        running = asyncio.create_task(evaluation.run())
        stopping = asyncio.create_task(evaluation.signals.stop.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                running.cancel()
            await running
        except asyncio.CancelledError:
            return INTERRUPTED
        except (AlreadyRunning, CallFailed, RequestFailed, StartFailed, aiohttp.ClientError) as error:
            return _refuse(f"hum eval: {error}")
        finally:
            stopping.cancel()
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return IMPOSSIBLE
