"""`hum demo`: one spoken call through the whole platform, and its result.

It starts everything on free ports, creates an organization, a service that can be booked, a flow and a number over the public
contract, and lets a caller speak two lines, the second while the agent offers times.  It prints the transcript live, and then
the call's record with the appointment that the caller made.  With `--keep`, and on a terminal, everything runs on for a while, so that the record can be opened in a
browser.  It exits with 0 only if every part of the record is there.
"""

import asyncio
import json
import secrets
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from cli import banner, callprintout, recordpage, simulate
from cli.clinic import ENVIRONMENT, INTERRUPTED, PLANES, Client, Clinic, RequestFailed, on_free_ports
from cli.platform import Platform
from cli.simulate import CallTarget, NoSpeech
from hum.clock import monotonic_ms
from hum.process import home
from hum.process.homelock import AlreadyRunning
from hum.process.programs import StartFailed
from hum.process.signals import Signals
from hum.settings import UpSettings, load
from hum.settings import environment as own_environment
from sandbox.speech import Speech
from sandbox.twilio import Call, say

LINES = (
    "My name is Ann Lee and I would like to book a dental cleaning please.",
    "The first one would be perfect.",
)
FLOW = {
    "name": "Clinic intake",
    "greeting": "Thank you for calling the clinic. How can I help you today?",
    "system_prompt": "You are the receptionist of a dental clinic. Offer times, and book what the caller chooses.",
    "announce_recording": 1,
    # The stand-in's voice pauses in mid-sentence for longer than people do.
    "turn_config_json": {"eagerness": "medium"},
}
#: The caller's, so that no zone has to be named.
ZONE = "America/Indiana/Indianapolis"
DENTIST = {
    "kind": "person",
    "name": "Dr. Chen",
    "time_zone": ZONE,
    "business_hours_json": {"weekly": {day: [["08:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}},
}
SERVICE = {"name": "Dental cleaning", "duration_minutes": 45, "step_minutes": 30, "time_zone": ZONE}
#: The stand-in model has no script: it books with the agent's tools, and says the times that they give. Its hearing is real.
SCRIPT: dict[str, Any] = {}
#: Of the agent's audio: more than the announcement, less than announcement and greeting.
GREETED_AFTER_MS = 2600
#: More than "One moment, please.", less than the offer after it.
INTERRUPT_AFTER_MS = 3500
#: When the carrier heard or played something is known to half a frame.
UNKNOWN_MS = 10
#: How long each step of the caller's, and the summary, may take on a busy machine.
PATIENCE_MS = 60_000
#: How long everything runs on after the call, on a terminal.
KEEP_SECONDS = 600.0


class DemoFailed(Exception):  # noqa: N818
    """The demo can't go on, or part of its call's record is missing."""


@dataclass
class Demo:
    """One run of the demo."""

    settings: UpSettings
    keep_seconds: float
    signals: Signals
    started_ms: float = field(default_factory=monotonic_ms)
    #: New for every run, like the number: a person's session shows the first of their organizations.
    owner: str = field(default_factory=lambda: f"demo-{secrets.token_hex(3)}@example.com")
    #: The call's, once it is over.
    call_id: str = ""

    async def run(self) -> None:
        """Run the demo.

        Raises DemoFailed, RequestFailed, NoSpeech, AlreadyRunning, StartFailed, and CancelledError if it is interrupted.
        """
        self._print("Starting everything on this machine:")
        speech, started_ms = Speech(), monotonic_ms()
        try:
            caller_lines = await simulate.speak(LINES, speech)
        finally:
            speech.close()
        self._print(banner.started("the caller's voice", monotonic_ms() - started_ms))
        number = f"+1317555{secrets.randbelow(9000) + 1000}"  # new, as a number has one owner
        with tempfile.TemporaryDirectory() as scratch:
            script = Path(scratch, "script.json")
            script.write_text(json.dumps(SCRIPT))  # noqa: ASYNC240 - small
            environment = ENVIRONMENT | own_environment()
            platform = Platform(self.settings, (number,), script, PLANES, environment)
            platform.programs.on_started = lambda name, ms: self._print(banner.started(name, ms))
            try:
                await platform.start()
                self._print(f"HUM is up ({(monotonic_ms() - self.started_ms) / 1000:.1f} s).")
                try:
                    await self._call(platform, number, caller_lines)
                except DemoFailed:
                    if self.call_id:
                        await self._run_on(platform, "The record is not complete.")
                    raise
                await self._run_on(platform, "The record is complete.")
            finally:
                await platform.stop(self.signals.end_now)

    async def _call(self, platform: Platform, number: str, lines: list[bytes]) -> None:
        clinic = await Clinic.create(self.settings, number, self.owner)
        headers = {"Authorization": f"Bearer {clinic.key}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            client = Client(http, platform.where["gateway_url"])
            flow = await client.post("/api/flows", FLOW | {"booking_service_ids": [await _service(client)]})
            await client.patch(f"/api/numbers/{clinic.number_id}", {"flow_id": flow["id"]})
            call = await simulate.ring(CallTarget.find(self.settings), number, "+13175550199", _steps(lines))
            id = await _wait_for_connection(call)
            self._print(f"A caller rings {number}.\n")
            turns = 0
            async for name, data in client.events(f"/api/calls/{id}/stream"):
                turns += name == "transcript.turn"
                for line in callprintout.lines(name, data):
                    self._print(line)
            await simulate.wait_until_ended(call)
            record = await _wait_for_summary(client, id)
            self.call_id = id
            self._report(record, call)
            if turns < len(record["transcript"]):
                raise DemoFailed(f"{turns} of {len(record['transcript'])} turns were streamed while the call went on")
            (booked,) = (await client.get("/api/appointments"))["appointments"] or [None]
            if booked:
                self._print(f"Appointment: {booked['starts_at']}, {SERVICE['name']}, for {booked['name']}")
            await self._check(record, call, is_booked=bool(booked))

    async def _run_on(self, platform: Platform, verdict: str) -> None:
        """Print where the record is, and keep everything running for `keep_seconds`, or until a signal."""
        self._print(verdict)
        if self.keep_seconds <= 0:
            return
        addresses, path = platform.where, await recordpage.path_of(platform.where["public_url"], self.call_id)
        self._print(f"\nFor {_duration(self.keep_seconds)}, or until Ctrl-C, everything runs on:")
        if "signin_url" in addresses:
            await self._create_owner(addresses["signin_url"])
            self._print(f"  the record  {addresses['public_url']}/auth/login?{urlencode({'return_to': path})}")
            self._print(f"              (choose {self.owner}; the sign-in is a stand-in)")
        else:
            self._print(f"  the record  {addresses['public_url']}{path}   (sign in as {self.owner})")
        self._print(f"  the API     {addresses['public_url']}/docs")
        try:
            async with asyncio.timeout(self.keep_seconds):
                await self.signals.stop.wait()
        except TimeoutError:
            self._print("The time is over; everything stops.")
        else:
            self._print("Everything stops.")

    async def _create_owner(self, signin_url: str) -> None:
        """Register the owner's name at the stand-in for the sign-in provider."""
        async with aiohttp.ClientSession() as http:
            person = {"email": self.owner, "name": "Demo Clinic"}
            async with http.post(f"{signin_url}/sandbox/people", json=person) as answer:
                answer.raise_for_status()

    # -- output

    def _print(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _report(self, record: dict[str, Any], call: Call) -> None:
        self._print("\nLatency, from the caller's last voiced frame to the first frame of the answer that was heard:")
        for turn in _latencies(record):
            self._print(
                f"  turn {turn['turn_seq']}: {turn['first_answer_ms']} ms, of which HUM's own {turn['ours_ms']} ms, "
                f"the model's {turn['model_ms']} ms, the network's {_network_ms(turn)} ms"
            )
        for interruption in record["interruptions"]:
            truth = simulate.heard_before_clear(call, interruption["at_ms"])
            carrier_note = f"; the carrier really played {truth:.0f} ms" if truth is not None else ""
            self._print(
                f"Interruption: cleared {interruption['reaction_ms']} ms after the caller's voice; "
                f"heard {interruption['heard_ms']} ms of the answer{carrier_note}"
            )
        summary = record["summary"] or {}
        self._print(f"Summary: {summary.get('text')}")
        for title, items in (("Key points", summary.get("key_points")), ("Next actions", summary.get("next_actions"))):
            self._print(f"{title}: {'; '.join(items or []) or 'none'}")

    async def _check(self, record: dict[str, Any], call: Call, *, is_booked: bool) -> None:
        """Check that the call's record is complete.  Raises DemoFailed."""
        recordings = sorted((self.settings.recordings_dir).rglob(f"{record['id']}*.wav"))
        if recordings:
            self._print(f"Recording: {recordings[0]}  ({recordings[0].stat().st_size // 1024} KiB)")
        if missing := missing_parts(record, call, has_file=bool(recordings), is_booked=is_booked):
            raise DemoFailed("missing: " + ", ".join(missing))


def missing_parts(record: dict[str, Any], call: Call, *, has_file: bool, is_booked: bool) -> list[str]:
    """Return what a complete record of the demo's call has and this one does not.

    `has_file`: the recording is on disk; `is_booked`: the caller has an appointment.
    """
    texts = {
        role: [turn["text"] for turn in record["transcript"] if turn["role"] == role] for role in ("agent", "caller")
    }
    latencies = _latencies(record)
    expected = {
        "a call that is completed": record["status"] == "completed",
        "two turns of the caller": len(texts["caller"]) >= 2 and all(texts["caller"]),
        "three turns of the agent": len(texts["agent"]) >= 3,
        "the greeting": FLOW["greeting"] in texts["agent"],
        "a latency for each answer": len(latencies) >= 2,
        "shares of the latency that add up": all(_network_ms(turn) >= -UNKNOWN_MS for turn in latencies),
        "the interruption": any(interruption["verdict"] == "cut" for interruption in record["interruptions"]),
        "the interruption at the carrier": simulate.heard_before_clear(call, 0) is not None,
        "the appointment": is_booked,
        "a summary": bool(record["summary"] and record["summary"]["text"]),
        "the recording": has_file and record["recording_url"] is not None,
        "a call without carrier errors": not call.errors,
    }
    return [name for name, is_present in expected.items() if not is_present]


def _latencies(record: dict[str, Any]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = (record["latency"] or {}).get("turns", [])
    return turns


def _network_ms(turn: dict[str, Any]) -> int:
    """Return what is neither HUM's share of a latency nor the model's: the way from the carrier and back."""
    rest: int = turn["first_answer_ms"] - turn["ours_ms"] - turn["model_ms"]
    return rest


def _steps(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the caller's steps: one line after the greeting, one during the agent's answer, then wait for the confirmation, and hang up."""
    return [
        # The announcement is a clip; on a busy machine the greeting follows after more than the 900 ms that end a
        # sentence.
        {"do": "wait_for_agent_to_talk", "for_ms": GREETED_AFTER_MS, "timeout_ms": PATIENCE_MS},
        {"do": "wait_for_agent_to_finish", "quiet_ms": 900, "timeout_ms": PATIENCE_MS},
        say(lines[0]),
        {"do": "wait_for_agent_to_talk", "for_ms": INTERRUPT_AFTER_MS, "timeout_ms": PATIENCE_MS},
        say(lines[1]),
        # The agent holds and books before it confirms.
        {"do": "wait_for_agent_to_finish", "quiet_ms": 2000, "timeout_ms": PATIENCE_MS},
        {"do": "hang_up"},
    ]


async def _service(client: Client) -> str:
    """Create a dentist and the service that they give, and return its id."""
    dentist = await client.post("/api/booking/resources", DENTIST)
    service = await client.post("/api/booking/services", SERVICE | {"groups": [{"resource_ids": [dentist["id"]]}]})
    return str(service["id"])


async def _wait_for_connection(call: Call) -> str:
    """Wait until the stream is open, and return HUM's id of the call.  Raises DemoFailed."""
    async for event in call.events():
        if event["event"] == "stream.started":
            return simulate.call_id(call)
    raise DemoFailed(f"the call was not connected: {call.errors or call.sentences}")


async def _wait_for_summary(client: Client, id: str) -> dict[str, Any]:
    """Return the call's record, once it has a summary or PATIENCE_MS have passed."""
    deadline_ms = monotonic_ms() + PATIENCE_MS
    while True:
        record = await client.get(f"/api/calls/{id}")
        if record["summary"] is not None or monotonic_ms() > deadline_ms:
            return record
        await asyncio.sleep(0.2)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:g} seconds" if minutes < 2 else f"{minutes:g} minutes"


async def run(keep_seconds: float | None = None) -> int:
    """Run the demo; return 0 if the record is complete, 1 if parts are missing, 2 if another platform runs here.

    Then everything runs on for `keep_seconds`; None means KEEP_SECONDS on a terminal, else not at all.
    """
    if keep_seconds is None:
        keep_seconds = KEEP_SECONDS if sys.stdin.isatty() and sys.stdout.isatty() else 0.0
    config = load(UpSettings)
    settings = on_free_ports(config, config.home / "demo")
    home.require(config.home)
    demo = Demo(settings, keep_seconds, Signals())
    running, stopping = asyncio.create_task(demo.run()), asyncio.create_task(demo.signals.stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not (running.done() or demo.call_id):
            running.cancel()
        await running
    except asyncio.CancelledError:
        return INTERRUPTED
    except AlreadyRunning as error:
        sys.stderr.write(f"hum demo: {error}\n")
        return 2
    except (DemoFailed, NoSpeech, RequestFailed, StartFailed, aiohttp.ClientError) as error:
        sys.stderr.write(f"hum demo: {error}\n")
        return 1
    finally:
        stopping.cancel()
    return 0
