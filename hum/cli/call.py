"""`hum call`: a simulated call to the gateway running on this machine, or to the one named by the environment."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hum import settings
from hum.cli import simulate
from hum.cli.simulate import NoSpeech, Target
from hum.settings import UpSettings
from sandbox.speech import Speech
from sandbox.twilio import Call

#: The events that are printed during the call.
SHOWN = {
    "call.status": "status {status}",
    "stream.started": "stream open",
    "agent.audible": "agent speaks",
    "agent.silent": "agent silent",
    "caller.said": "caller, line {step}: {phase}",
    "clear": "interrupted: the carrier dropped its queued audio",
    "said": "carrier says: {text}",
    "stream.ended": "stream closed by {closed_by}",
    "error": "error {code}: {message}",
}


async def run(to: str, from_: str, wavs: Sequence[str], lines: Sequence[str], *, as_json: bool) -> int:
    """Place the call and follow it; 0 when it was answered by an agent and ended without an error."""
    speech = Speech()
    try:
        spoken = [simulate.read_wav(Path(path)) for path in wavs] + await simulate.speak(lines, speech)
    except (OSError, ValueError, NoSpeech) as error:
        sys.stderr.write(f"hum: {error}\n")
        return 2
    finally:
        speech.close()
    target = Target.find(settings.load(UpSettings))
    if not target.auth_token:
        sys.stderr.write(
            "hum: no platform is running on this machine; start `hum up` first, or set HUM_PUBLIC_URL, "
            "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN\n"
        )
        return 2
    call = await simulate.ring(target, to, from_, simulate.one_after_the_other(spoken))
    async for event in call.events():
        if not as_json and (line := _line(event)):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    await simulate.over(call)
    facts = _facts(call, target)
    sys.stdout.write(json.dumps(facts) + "\n" if as_json else _last_lines(facts))
    return 0 if facts["call_id"] and not facts["errors"] else 1


def _line(event: dict[str, Any]) -> str:
    form = SHOWN.get(event["event"])
    if form is None:
        return ""
    at = f"{event['stream_ms'] / 1000:7.2f} s" if event.get("stream_ms") is not None else " " * 9
    return f"{at}  {form.format_map({'text': '', 'closed_by': '?', 'status': '?', 'step': '?', 'phase': '', 'code': '', 'message': '', **event})}"


def _facts(call: Call, target: Target) -> dict[str, Any]:
    id = simulate.call_id(call)
    return {
        "call_sid": call.sid,
        "call_id": id,
        "url": f"{target.public_url}/api/calls/{id}" if id else None,
        "status": call.status,
        "duration_s": call.duration_s,
        "said_by_carrier": call.sentences,
        "agent_audio_ms": sum(len(segment.payload) for stream in call.streams for segment in stream.playout.segments)
        / 8,
        "interruptions": sum(len(stream.playout.clears) for stream in call.streams),
        "errors": [f"{code} {message}" for code, message in call.errors],
    }


def _last_lines(facts: dict[str, Any]) -> str:
    where = f"\n{facts['url']}" if facts["url"] else ""
    return f"{facts['status']} after {facts['duration_s']} s; the agent was heard for {facts['agent_audio_ms'] / 1000:.1f} s{where}\n"
