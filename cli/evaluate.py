"""`hum eval run`: scenarios against a platform of its own, over the telephone.

It starts everything on free ports in a home of its own, creates an organization and a number, and places each scenario's calls with a
simulated caller who hears.  Nothing of another platform is touched.
"""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from cli import banner, simulate
from cli.demo import ENVIRONMENT, INTERRUPTED, PLANES, Client, Demo, DemoFailed
from cli.platform import Platform
from cli.simulate import CallTarget
from evals import results, runner, scenario
from evals.brains import FactsBrain, ScriptBrain
from evals.checks import Played
from evals.livecaller import LiveCaller
from evals.results import IMPOSSIBLE, ResultFile, scenario_verdict
from evals.runner import Called, CallFailed, FlowFile, Plan
from evals.scenario import Refusal, Scenario
from hum.clock import monotonic_ms
from hum.process import home
from hum.process.homelock import AlreadyRunning
from hum.process.programs import StartFailed
from hum.process.signals import Signals
from hum.settings import UpSettings, load
from hum.settings import environment as own_environment
from sandbox.audio import BYTES_PER_MS
from sandbox.speech import Speech
from sandbox.twilio import Call, simulate_call
from sandbox.twilio import Path as Network

PATIENCE_SECONDS = 60.0
ENDED = frozenset({"completed", "failed", "canceled", "no_answer", "busy"})


class Telephone:
    """Calls to one number of one organization, whose flow is the scenario's."""

    def __init__(
        self, client: Client, target: CallTarget, number: tuple[str, str], model_url: str, speech: Speech
    ) -> None:
        self._client, self._target, self._speech, self._model_url = client, target, speech, model_url
        self._e164, self._number_id = number
        self._flow: FlowFile | None = None

    async def place(self, wanted: Scenario, flow: FlowFile, seed: int) -> Called:
        """Place one call and return what came of it.  Raises CallFailed."""
        try:
            await self._set_flow(flow)
            return await self._call(wanted, seed)
        except (DemoFailed, aiohttp.ClientError, TimeoutError) as error:
            raise CallFailed(str(error) or "a part did not answer in time") from error

    async def _set_flow(self, flow: FlowFile) -> None:
        if flow == self._flow:
            return
        made = await self._client.post("/api/flows", dict(flow.flow))
        await self._client.patch(f"/api/numbers/{self._number_id}", {"flow_id": made["id"]})
        if self._model_url:
            async with self._client.http.put(f"{self._model_url}/sandbox/script", json=dict(flow.stand_in)) as answer:
                if answer.status >= 400:
                    raise CallFailed(f"the stand-in model refuses its script: {await answer.text()}")
        self._flow = flow

    async def _call(self, wanted: Scenario, seed: int) -> Called:
        persona = wanted.persona
        brain = FactsBrain(wanted.facts, wanted.most_turns) if wanted.brain == "facts" else ScriptBrain(wanted.script)

        async def mouth(text: str) -> bytes:
            return await self._speech.say(text, persona.voice)

        caller, began_ms = LiveCaller(brain, persona, self._speech.hear, mouth, seed), monotonic_ms()
        call = await simulate_call(
            f"{self._target.public_url}/twilio/voice",
            account_sid=self._target.account_sid,
            auth_token=self._target.auth_token,
            to=self._e164,
            from_=f"+1317555{secrets.randbelow(9000) + 1000}",
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
            call.hang_up()
            await simulate.wait_until_ended(call)
        if not simulate.call_id(call):
            raise CallFailed(f"the call was not connected: {call.errors or call.sentences}")
        record = await self._record(simulate.call_id(call))
        seconds = (monotonic_ms() - began_ms) / 1000
        return Called(
            record, _played(call), caller.conduct, caller.gave_up, seconds, call.worst_lateness_ms, caller.heard_words
        )

    async def _record(self, id: str) -> Mapping[str, Any]:
        """Return the call's record once its after-call work is done."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                record = await self._client.get(f"/api/calls/{id}")
                if record["status"] in ENDED and record["summary"] is not None:
                    return record
                await asyncio.sleep(0.2)


def _played(call: Call) -> list[Played]:
    return [
        Played(
            [(segment.start_ms, len(segment.payload) / BYTES_PER_MS) for segment in stream.playout.segments],
            [clear.received_at_ms for clear in stream.playout.clears],
        )
        for stream in call.streams
    ]


class Evaluation(Demo):
    """A platform like the demo's, with its calls."""

    async def evaluate(self, plan: Plan, file: ResultFile) -> int:
        """Start everything, run the plan, and return the exit status.  Raises StartFailed, AlreadyRunning, DemoFailed."""
        number = f"+1317555{secrets.randbelow(9000) + 1000}"
        platform = Platform(self.settings, (number,), None, PLANES, ENVIRONMENT | own_environment())
        platform.programs.on_started = lambda name, ms: self._print(banner.started(name, ms))
        speech = Speech()
        try:
            await platform.start()
            await speech.warm_up()
            key, number_id = await self._create_clinic(number)
            headers = {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as http:
                client = Client(http, platform.where["gateway_url"])
                telephone = Telephone(
                    client,
                    CallTarget.find(self.settings),
                    (number, number_id),
                    platform.where.get("model_url", ""),
                    speech,
                )
                done = await runner.run(plan, telephone.place, file, self._print)
        finally:
            speech.close()
            await platform.stop(self.signals.end_now)
        verdicts = [scenario_verdict(wanted, runs) for wanted, runs in done]
        for (wanted, runs), verdict in zip(done, verdicts, strict=True):
            self._print(f"{verdict:8} {sum(run.verdict == 'passed' for run in runs)}/{wanted.runs}  {wanted.name}")
        return results.status(verdicts, [run for _, runs in done for run in runs])


async def run(arguments: argparse.Namespace) -> int:
    """Return 0 if all passed, 1 if some failed, 2 if nothing could be run, 3 if too few runs say anything."""
    try:
        suite = scenario.load([Path(file) for file in arguments.files])
        flow, report, out = (Path(name) if name else None for name in (arguments.flow, arguments.junit, arguments.out))
        plan = runner.plan(suite, arguments.only, flow, arguments.seed, report)
        file = ResultFile(out)
    except (Refusal, ValueError, TypeError) as error:
        sys.stderr.write(f"{error}\n")
        return IMPOSSIBLE
    if not Speech.available():
        sys.stderr.write("hum eval: the extra `speech` is not installed: pip install 'hum[speech]'\n")
        return IMPOSSIBLE
    config = load(UpSettings)
    free = {f"{plane}_listen": "127.0.0.1:0" for plane in ("control", "gateway", "media")}
    settings = config.model_copy(update={"home": config.home / "eval", **free})
    home.require(config.home)
    evaluation = Evaluation(settings, 0.0, Signals())
    running = asyncio.create_task(evaluation.evaluate(plan, file))
    stopping = asyncio.create_task(evaluation.signals.stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
        return await running
    except asyncio.CancelledError:
        return INTERRUPTED
    except (AlreadyRunning, DemoFailed, StartFailed, aiohttp.ClientError) as error:
        sys.stderr.write(f"hum eval: {error}\n")
        return IMPOSSIBLE
    finally:
        stopping.cancel()
