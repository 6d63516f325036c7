"""The load: places the calls, and follows each to its end."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sandbox.load.figures import CallFigures, Thresholds, table
from sandbox.speech import Speech
from sandbox.speech.wavfiles import read_ulaw
from sandbox.twilio import Call, say, simulate_call

LINES = (
    "Hello, I would like to know your opening hours.",
    "Can you tell me whether you have a table for two tonight?",
    "No, wait, I meant tomorrow at seven.",
    "Thank you, and where exactly are you?",
)
LISTEN_MS, INTERRUPT_AFTER_MS, TIMEOUT_MS = 900, 500, 8_000
ANSWER_MS = 4_000.0  # approximate length of an answer
PAUSE_SECONDS = 0.02  # between calls without a ramp

Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoadParameters:
    """The load's parameters; `interrupt` is the share of lines that are spoken over the agent."""

    voice_url: str
    account_sid: str
    auth_token: str
    to: str
    from_: str
    calls: int
    seconds: float
    ramp_seconds: float = 0.0
    interrupt: float = 0.3
    seed: int = 1


def script(lines: Sequence[bytes], seconds: float, interrupt: float, random: Random) -> Iterator[Step]:
    """Yield a caller's steps for about `seconds`: random `lines`, some of them spoken over the agent's answer."""
    elapsed_ms, interrupts = 0.0, False
    while elapsed_ms < seconds * 1000:
        line = random.choice(lines)
        yield (
            {"do": "wait_for_agent_to_talk", "for_ms": INTERRUPT_AFTER_MS, "timeout_ms": TIMEOUT_MS}
            if interrupts
            else {"do": "wait_for_agent_to_finish", "quiet_ms": LISTEN_MS, "timeout_ms": TIMEOUT_MS}
        )
        yield say(line)
        elapsed_ms += len(line) / 8 + (INTERRUPT_AFTER_MS if interrupts else ANSWER_MS)
        interrupts = random.random() < interrupt


async def run(load: LoadParameters, lines: Sequence[bytes]) -> CallFigures:
    """Place the calls, each a moment after the previous one, follow each to its end, and return the figures."""
    figures, random = CallFigures(), Random(load.seed)
    pause_seconds = max(PAUSE_SECONDS, load.ramp_seconds / load.calls)
    async with asyncio.TaskGroup() as group:
        for number in range(load.calls):
            steps = list(script(lines, load.seconds, load.interrupt, random))
            group.create_task(_place(load, caller(load.from_, number), steps, figures))
            await asyncio.sleep(pause_seconds)
    return figures


def caller(first: str, index: int) -> str:
    """Return the number of the caller at this index, near the first: platforms limit the calls of one number."""
    last_digits = (int(first[-4:]) + index) % 10_000 if first[-4:].isdecimal() else None
    return first if last_digits is None else f"{first[:-4]}{last_digits:04d}"


async def _place(load: LoadParameters, from_: str, steps: Sequence[Step], figures: CallFigures) -> None:
    call = await simulate_call(
        load.voice_url,
        account_sid=load.account_sid,
        auth_token=load.auth_token,
        to=load.to,
        from_=from_,
        steps=steps,
        status_callback=f"{load.voice_url}/status",
    )
    hang_up = asyncio.create_task(_hang_up_after(call, load.seconds))
    try:
        await call.ended(timeout_s=load.seconds + 60)
    except TimeoutError:
        figures.errors.append("a call did not end")
    finally:
        hang_up.cancel()
    if call.released is not None:
        await call.released
    figures.add(call)


async def _hang_up_after(call: Call, seconds: float) -> None:
    await asyncio.sleep(seconds)
    call.hang_up()


async def main(arguments: argparse.Namespace, voice_url: str, account_sid: str, auth_token: str) -> int:
    """Run the load and print the figures; return 0 within the thresholds, 1 beyond them, 2 if the run is impossible."""
    try:
        lines = await words(arguments.wav)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"hum: {error}\n")
        return 2
    load = LoadParameters(
        voice_url,
        account_sid,
        auth_token,
        arguments.to,
        arguments.from_,
        arguments.calls,
        arguments.seconds,
        arguments.ramp,
        arguments.interrupt,
    )
    summary = (await run(load, lines)).summary()
    limits = Thresholds(
        arguments.max_first_audio_ms,
        arguments.max_answer_ms,
        arguments.max_clear_ms,
        arguments.max_gaps,
        arguments.max_errors,
    )
    broken = limits.broken(summary)
    sys.stdout.write((json.dumps(summary | {"broken": broken}) if arguments.json else table(summary)) + "\n")
    for sentence in broken:
        sys.stderr.write(f"hum: {sentence}\n")
    return 1 if broken else 0


async def words(wavs: Sequence[str]) -> list[bytes]:
    """Return the callers' lines, μ-law at 8 kHz: the given files, else synthesized speech.  Raises OSError, ValueError."""
    if wavs:
        return [read_ulaw(Path(path)) for path in wavs]
    if not Speech.available():
        raise ValueError("the extra `speech` is not installed: pip install 'hum[speech]', or use --wav FILE")
    speech = Speech()
    try:
        return [await speech.say(line, "caller") for line in LINES]
    finally:
        speech.close()
