"""The simulated call of `hum call` and `hum demo`: the caller's lines become steps; this process acts as the carrier.

See docs/decisions/0028-doctor-and-call.md: the same code works with the stand-in carrier and with a gateway that has a real account.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hum.process import home
from hum.settings import UpSettings
from sandbox.speech import Speech
from sandbox.twilio import Call, say, simulate_call

CALLER_VOICE = "caller"
#: Silences shorter than this are pauses within an utterance of the agent, not gaps between utterances.
SPURT_GAP_MS = 300.0


class NoSpeech(Exception):  # noqa: N818
    """The extra `speech`, which speaks lines, is not installed."""


@dataclass(frozen=True, slots=True)
class CallTarget:
    """The gateway to call, and the carrier account to act for."""

    public_url: str
    account_sid: str
    auth_token: str

    @classmethod
    def find(cls, settings: UpSettings) -> "CallTarget":
        """Return the platform that runs on this machine (`run.json`), else that of the environment."""
        run = home.read_run(settings.home)
        tokens = settings.twilio_auth_tokens
        return cls(
            run.get("public_url", settings.public_url),
            run.get("twilio_account_sid", settings.twilio_account_sid),
            run.get("twilio_auth_token", tokens[0] if tokens else ""),
        )


async def ring(target: CallTarget, to: str, from_: str, steps: Sequence[dict[str, Any]]) -> Call:
    """Call a number; return while it rings."""
    return await simulate_call(
        f"{target.public_url}/twilio/voice",
        account_sid=target.account_sid,
        auth_token=target.auth_token,
        to=to,
        from_=from_,
        steps=steps,
        status_callback=f"{target.public_url}/twilio/voice/status",
    )


async def wait_until_ended(call: Call) -> None:
    """Wait until a call is over, its last callbacks are delivered, and its resources are released."""
    await call.ended()
    if call.released is not None:
        await call.released


async def speak(lines: Sequence[str], speech: Speech) -> list[bytes]:
    """Speak lines; return mu-law at 8 kHz.  Raises NoSpeech, and ValueError if a line has no words."""
    if not all(line.strip() for line in lines):
        raise ValueError("--say needs words")
    if lines and not Speech.available():
        raise NoSpeech("the extra `speech` is not installed: pip install 'hum[speech]', or use --wav")
    return [await speech.say(line, CALLER_VOICE) for line in lines]


def sequential_steps(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return steps that say each line once the agent has finished, and then wait until it finishes again."""
    listen = {"do": "wait_for_agent_to_finish", "quiet_ms": 900, "timeout_ms": 30_000}
    return [step for line in lines for step in (listen, say(line))] + [listen]


def call_id(call: Call) -> str:
    """Return HUM's id of the call, from its TwiML; empty if it was not connected."""
    for verb in call.verbs:
        action = str(verb.attributes.get("action", ""))
        if "/twilio/voice/next/" in action:
            return urlsplit(action).path.rpartition("/")[2]  # without the connection overrides
    return ""


def heard_before_clear(call: Call, at_ms: float) -> float | None:
    """Return the ms of the agent's utterance that had been played at the clear nearest to `at_ms`.

    It reads the first stream with a clear; None if nothing was ever cleared.
    """
    stream = next((candidate for candidate in call.streams if candidate.playout.clears), None)
    if stream is None:
        return None
    clear = min(stream.playout.clears, key=lambda candidate: abs(candidate.received_at_ms - at_ms))
    at_ms, heard_bytes, next_start_ms = clear.received_at_ms, 0, None
    for segment in reversed(stream.playout.segments):
        if segment.start_ms >= at_ms:
            continue
        if next_start_ms is not None and next_start_ms - segment.end_ms > SPURT_GAP_MS:
            break
        heard_bytes += len(segment.payload)
        next_start_ms = segment.start_ms
    return heard_bytes / 8
