"""`hum call`: a simulated call to the gateway running on this machine, or to the one named by the environment.

If the platform runs on this machine, it prints the conversation live: what the agent understood, and what the caller
heard.  Otherwise it prints the carrier's view, and the URL of the call's record.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpc import StatusCode, aio

from cli import callprintout, recordpage, simulate
from cli.operator import operator, sentence
from cli.simulate import CallTarget, NoSpeech
from hum import settings
from hum.process import home
from hum.settings import UpSettings
from sandbox.speech import Speech
from sandbox.speech.wavfiles import read_ulaw
from sandbox.twilio import Call

#: Lines for the carrier's events.
CARRIER_EVENTS = {
    "call.status": "status {status}",
    "stream.started": "stream open",
    "clear": "interrupted: the carrier dropped its queued audio",
    "said": "carrier says: {text}",
    "stream.ended": "stream closed by {closed_by}",
    "error": "error {code}: {message}",
}
#: Further lines, if the conversation is not printed.
AUDIO_EVENTS = {
    "agent.audible": "agent speaks",
    "agent.silent": "agent silent",
    "caller.said": "caller, line {step}: {phase}",
}
#: Events of the call's own stream that repeat the carrier's.
REPEATED_EVENTS = frozenset({"call.state", "call.ended"})
#: The wait for the record of a call that is over.
RECORD_SECONDS = 10.0


@dataclass
class LiveTranscript:
    """The conversation so far; `fault` is the reason if the rest is missing."""

    quiet: bool
    turns: list[dict[str, Any]] = field(default_factory=list)
    follows: bool = False
    fault: str = ""
    #: The end of a call without an agent, as control recorded it, and a sentence about it.
    end_reason: str | None = None
    refusal: str = ""

    def add(self, name: str, data: dict[str, Any]) -> None:
        if name == "transcript.turn":
            self.turns.append(data)
        if not self.quiet and name not in REPEATED_EVENTS:
            for line in callprintout.lines(name, data):
                _print(line)


async def run(to: str, from_: str, wavs: Sequence[str], lines: Sequence[str], *, as_json: bool) -> int:
    """Place the call and follow it.

    Return 0 if an agent answered and the call ended without an error, 2 if there is nothing to call or to say, else 1.
    """
    speech = Speech()
    try:
        caller_audio = [read_ulaw(Path(path)) for path in wavs] + await simulate.speak(lines, speech)
    except (OSError, ValueError, NoSpeech) as error:
        sys.stderr.write(f"hum: {error}\n")
        return 2
    finally:
        speech.close()
    config = settings.load(UpSettings)
    target = CallTarget.find(config)
    if not target.auth_token:
        sys.stderr.write(
            "hum: no platform is running on this machine; start `hum up` first, or set HUM_PUBLIC_URL, "
            "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN\n"
        )
        return 2
    call = await simulate.ring(target, to, from_, simulate.sequential_steps(caller_audio))
    transcript = LiveTranscript(quiet=as_json)
    await _follow(call, config, transcript)
    await simulate.wait_until_ended(call)
    if "control_address" in home.read_run(config.home) and not simulate.call_id(call) and not call.errors:
        await _look_up_refusal(config, call, transcript)
    facts = _call_facts(call, transcript, await _record_url(call, target.public_url))
    if transcript.fault:
        sys.stderr.write(f"hum: the conversation is not complete: {transcript.fault}\n")
    for line in [json.dumps(facts)] if as_json else _last_lines(facts):
        _print(line)
    return 0 if facts["call_id"] and not facts["errors"] else 1


async def _follow(call: Call, config: UpSettings, transcript: LiveTranscript) -> None:
    """Print the call's events until it is over and its record is complete."""
    reading: asyncio.Task[None] | None = None
    is_here = "control_address" in home.read_run(config.home)
    async for event in call.events():
        if event["event"] == "stream.started" and is_here and reading is None:
            transcript.follows = True
            reading = asyncio.create_task(_listen(config, simulate.call_id(call), transcript))
        if not transcript.quiet and (line := _line(event, follows=transcript.follows)):
            _print(line)
    if reading is not None:
        done, _ = await asyncio.wait({reading}, timeout=RECORD_SECONDS)
        if not done:
            transcript.fault = f"control did not say within {RECORD_SECONDS:g} s that the call is over"
            reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _listen(config: UpSettings, call_id: str, transcript: LiveTranscript) -> None:
    async with operator(config, "hum-call") as control:
        try:
            async for name, data in control.follow(call_id):
                transcript.add(name, data)
        except aio.AioRpcError as error:
            transcript.fault = sentence(error, control.address)


async def _look_up_refusal(config: UpSettings, call: Call, transcript: LiveTranscript) -> None:
    """Find out how a call ended that the carrier was not told to connect."""
    ended: dict[str, Any] | None = None
    async with operator(config, "hum-call") as control:
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                async for name, data in control.follow(call_sid=call.sid):
                    ended = data if name == "call.ended" else ended
        except TimeoutError:
            transcript.fault = f"control did not say within {RECORD_SECONDS:g} s how the call ended"
            return
        except aio.AioRpcError as error:
            if error.code() is not StatusCode.NOT_FOUND:
                transcript.fault = sentence(error, control.address)
                return
    transcript.end_reason = ended["reason"] if ended else None
    transcript.refusal = callprintout.refusal(call.to, ended)


def _line(event: dict[str, Any], *, follows: bool) -> str:
    template = CARRIER_EVENTS.get(event["event"]) or (None if follows else AUDIO_EVENTS.get(event["event"]))
    if template is None:
        return ""
    at = f"{event['stream_ms'] / 1000:8.2f} s" if event.get("stream_ms") is not None else " " * 10
    defaults = {"text": "", "closed_by": "?", "status": "?", "step": "?", "phase": "", "code": "", "message": ""}
    return f"{at}         -- {template.format_map(defaults | event)}"


async def _record_url(call: Call, public_url: str) -> str | None:
    id = simulate.call_id(call)
    return public_url + await recordpage.path_of(public_url, id) if id else None


def _call_facts(call: Call, transcript: LiveTranscript, url: str | None) -> dict[str, Any]:
    id = simulate.call_id(call)
    heard_bytes = sum(len(segment.payload) for stream in call.streams for segment in stream.playout.segments)
    return {
        "call_sid": call.sid,
        "call_id": id,
        "url": url,
        "status": call.status,
        "end_reason": transcript.end_reason,
        "refusal": transcript.refusal or None,
        "duration_s": call.duration_s,
        "said_by_carrier": call.sentences,
        "transcript": transcript.turns,
        "agent_audio_ms": heard_bytes / 8,
        "interruptions": sum(len(stream.playout.clears) for stream in call.streams),
        "errors": [f"{code} {message}" for code, message in call.errors],
    }


def _last_lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"{facts['status']} after {facts['duration_s']} s; the agent was heard for {facts['agent_audio_ms'] / 1000:.1f} s"
    ]
    if heard_lines := callprintout.heard_lines(facts["transcript"]):
        lines += ["What the caller heard of the agent:", *heard_lines]
    if facts["refusal"]:
        lines.append(facts["refusal"])
    return lines + ([facts["url"]] if facts["url"] else [])


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
