"""The command python -m bench.vad: accuracy, delay and cost of the detector of a caller over the agent.

The same run compares it with webrtcvad alone (three of four frames), as most gateways use it.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import webrtcvad

from bench import vad_calls
from media.core.audio import FRAME_MS, to_linear
from media.core.bargein import BargeIn, Verdict
from media.core.vad import Vad
from media.io.silero import Silero
from tests.support import sounds
from tests.support.sounds import FRAME, RATE_HZ, Prompt, Wave

SPEECH_DB = -22.0
LEAD_SECONDS = 0.8  # of line noise before the caller speaks
MAX_ONSET_SECONDS = 2.0  # a later onset is a miss
OTHER_PROMPTS = 90  # per other voice
SAID_SECONDS = 1.5
#: The first conditions: the quiet line, and noise down to 10 dB SNR.
STOPPED_LINES = 5
SAME_EVENT_FRAMES = 25  # onsets closer than half a second are one
EVERY_LINE = "all of these lines"
DETECTORS = ("hearing", "without Silero", "webrtcvad")


class Webrtcvad:
    """The baseline: webrtcvad alone at aggressiveness 2, three voiced frames of the last four."""

    def __init__(self) -> None:
        self._vad, self._recent = webrtcvad.Vad(2), 0

    def onset(self, frame: bytes) -> bool:
        self._recent = (self._recent << 1 | self._vad.is_speech(to_linear(frame), RATE_HZ)) & 0b1111
        return self._recent.bit_count() >= 3


class Ours:
    """The detector as it works while the agent is audible, with and without Silero."""

    def __init__(self, silero: Silero | None) -> None:
        self._vad = Vad(silero.detector() if silero else None)

    def onset(self, frame: bytes) -> bool:
        return self._vad.caller_frame(frame, True)[1]


@dataclass(frozen=True, slots=True)
class SpeechDelays:
    """Speech in one condition.  Delays in ms, from the first sample of speech to the end of the deciding frame."""

    condition: str
    detector: str
    trials: int
    missed: int
    early: int  # an onset before the speech
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class Stops:
    """Whether the first 1.5 s of sentences over the agent stop it for good."""

    voice: str
    condition: str
    trials: int
    cleared: int  # the agent fell silent
    cut: int  # and did not resume
    cut_p99_ms: float  # from the first sample of speech


@dataclass(frozen=True, slots=True)
class Alarms:
    """A sound that is not speech, and how often it was classified as speech."""

    sound: str
    detector: str
    seconds: float
    onsets: int
    per_hour: float
    taken_percent: float  # of the time
    cpu_us_per_frame: float


def make(detector: str, silero: Silero) -> Ours | Webrtcvad:
    match detector:
        case "hearing":
            return Ours(silero)
        case "without Silero":
            return Ours(None)
        case _:
            return Webrtcvad()


def conditions(seconds: float, seed: int) -> Iterator[tuple[str, Wave]]:
    """Yield the line conditions under which a caller may speak."""
    yield "quiet line", sounds.white(seconds, -75.0, seed)
    for snr in (20, 10, 5):
        yield f"white noise, {snr} dB SNR", sounds.white(seconds, SPEECH_DB - snr, seed)
        yield f"pink noise, {snr} dB SNR", sounds.pink(seconds, SPEECH_DB - snr, seed)
    yield "line hum, 10 dB SNR", sounds.hum(seconds, SPEECH_DB - 10)


def speech(prompts: Sequence[Prompt], silero: Silero) -> list[SpeechDelays]:
    delays: dict[tuple[str, str], list[float | None]] = {}
    for seed, prompt in enumerate(prompts):
        # Speech does not begin on a frame boundary.
        lead = LEAD_SECONDS + (seed % FRAME) / RATE_HZ
        said = prompt.wave[: prompt.begins + round(MAX_ONSET_SECONDS * RATE_HZ)]
        clean = np.concatenate((sounds.silence(lead), said, sounds.silence(0.1)))
        begins = round(lead * RATE_HZ) + prompt.begins
        for condition, noise in conditions(len(clean) / RATE_HZ + 0.01, seed):
            frames = sounds.frames(sounds.mix(clean, noise))
            for name in DETECTORS:
                delays.setdefault((condition, name), []).append(_delay(make(name, silero), frames, begins))
    together: dict[tuple[str, str], list[float | None]] = {}
    for (_, name), results in delays.items():
        together.setdefault((EVERY_LINE, name), []).extend(results)
    return [_heard(condition, name, results) for (condition, name), results in (delays | together).items()]


def stops(voice: str, prompts: Sequence[Prompt], silero: Silero) -> list[Stops]:
    """Measure stops by the sentences that last a second or more."""
    results: dict[str, list[tuple[bool, float | None]]] = {}
    for seed, prompt in enumerate(prompt for prompt in prompts if len(prompt.wave) - prompt.begins >= RATE_HZ):
        lead = LEAD_SECONDS + (seed % FRAME) / RATE_HZ
        said = prompt.wave[: prompt.begins + round(SAID_SECONDS * RATE_HZ)]
        clean = np.concatenate((sounds.silence(lead), said, sounds.silence(0.5)))
        begins = round(lead * RATE_HZ) + prompt.begins
        for condition, noise in list(conditions(len(clean) / RATE_HZ + 0.01, seed))[:STOPPED_LINES]:
            results.setdefault(condition, []).append(_stop(sounds.frames(sounds.mix(clean, noise)), begins, silero))
    return [_stops(voice, condition, stopped) for condition, stopped in results.items()]


def _stop(frames: list[bytes], begins: int, silero: Silero) -> tuple[bool, float | None]:
    """Return whether the agent was cleared, and when it was cut, in ms from the beginning of the speech."""
    vad, bargein, cleared = Vad(silero.detector()), BargeIn(), False
    for count, frame in enumerate(frames, 1):
        voiced, onset = vad.caller_frame(frame, True)
        verdict = bargein.caller_frame(onset, voiced, True, FRAME_MS, count * FRAME_MS)
        cleared |= verdict is Verdict.CLEAR
        if verdict is Verdict.CUT:
            return cleared, (count * FRAME - begins) * 1000 / RATE_HZ
    return cleared, None


def _stops(voice: str, condition: str, results: list[tuple[bool, float | None]]) -> Stops:
    cuts = [at_ms for _, at_ms in results if at_ms is not None]
    p99 = float(np.percentile(cuts or [float("nan")], 99))
    return Stops(voice, condition, len(results), sum(cleared for cleared, _ in results), len(cuts), p99)


def _delay(detector: Ours | Webrtcvad, frames: list[bytes], begins: int) -> float | None:
    """Return the delay of the onset in ms; negative if it came before the speech, None if there was none."""
    for count, frame in enumerate(frames, 1):
        if detector.onset(frame):
            return (count * FRAME - begins) * 1000 / RATE_HZ
    return None


def _heard(condition: str, detector: str, results: list[float | None]) -> SpeechDelays:
    good = [delay for delay in results if delay is not None and delay >= 0]
    early = sum(delay is not None and delay < 0 for delay in results)
    p50, p90, p99 = (float(value) for value in np.percentile(good or [float("nan")], (50, 90, 99)))
    return SpeechDelays(condition, detector, len(results), results.count(None), early, p50, p90, p99)


def not_speech(seconds: float) -> Iterator[tuple[str, Wave]]:
    for level in (-45, -30, -20):
        yield f"white noise, {level} dBFS", sounds.white(seconds, level)
        yield f"pink noise, {level} dBFS", sounds.pink(seconds, level)
    yield "DTMF, -20 dBFS", sounds.dtmf(seconds, -20)
    yield "ringback, -20 dBFS", sounds.ringback(seconds, -20)
    yield "beeps, -20 dBFS", sounds.beeps(seconds, -20)
    yield "line hum, -30 dBFS", sounds.hum(seconds, -30)
    yield "clicks, -15 dBFS", sounds.clicks(seconds, -15)
    yield "cough-like bursts, -22 dBFS", sounds.coughs(seconds, -22)
    for name, wave in sounds.music().items():
        yield f"hold music: {name}", wave[: round(seconds * RATE_HZ)]


def like_speech(seconds: float, voices: list[Prompt]) -> Iterator[tuple[str, Wave]]:
    """Yield sounds that a detector may reasonably classify as a caller."""
    yield "babble of 6, -22 dBFS", sounds.babble(seconds, -22, voices)
    yield "tones that glide like a voice, -20 dBFS", sounds.glides(seconds, -20)


def alarms(sound: str, wave: Wave, silero: Silero) -> list[Alarms]:
    frames, results = sounds.frames(wave), []
    for name in DETECTORS:
        detector = make(name, silero)
        began, onsets, flagged, last = time.process_time(), 0, 0, -SAME_EVENT_FRAMES
        for at, frame in enumerate(frames):
            if detector.onset(frame):
                onsets += at - last >= SAME_EVENT_FRAMES
                flagged, last = flagged + 1, at
        cpu_us = (time.process_time() - began) * 1e6 / len(frames)
        seconds = len(frames) * FRAME_MS / 1000
        results.append(
            Alarms(sound, name, seconds, onsets, onsets * 3600 / seconds, 100 * flagged / len(frames), cpu_us)
        )
    return results


def measure(seconds: float, limit: int | None) -> dict[str, list[dict[str, object]]]:
    """Measure `seconds` of each sound that is not speech, and at most `limit` prompts.  Raises MissingError."""
    silero = Silero.load()
    prompts = sounds.prompts(held=True)
    words = [prompt for prompt in prompts if len(prompt.wave) < RATE_HZ][:limit]
    sentences = [prompt for prompt in prompts if len(prompt.wave) >= RATE_HZ][:limit]
    results: dict[str, list[dict[str, object]]] = {
        "sentences": [asdict(row) for row in speech(sentences, silero)],
        "words": [asdict(row) for row in speech(words, silero)],
        "voices": [
            {"voice": name, **asdict(row)}
            for name, spoken in sounds.other_voices().items()
            for row in speech(spoken[: limit or OTHER_PROMPTS], silero)
            if row.detector == "hearing"
        ],
        "stops": [
            asdict(row)
            for name, spoken in (sounds.other_voices() | {sounds.SOUNDS.name: sentences}).items()
            for row in stops(name, spoken[:limit], silero)
        ],
        "not_speech": [asdict(a) for name, wave in not_speech(seconds) for a in alarms(name, wave, silero)],
        "other_music": [
            asdict(a)
            for name, wave in sounds.other_music(seconds).items()
            for a in alarms(f"music: {name}", wave, silero)
        ],
        "reported": [asdict(a) for name, wave in like_speech(seconds, sentences) for a in alarms(name, wave, silero)],
        "calls": [asdict(row) for row in vad_calls.measure(seconds, sentences, silero)],
    }
    return results


TITLES = {
    "sentences": "Recorded sentences of at least a second, held out",
    "words": "Recorded words shorter than a second (digits, letters, 'and'), held out",
    "voices": "Other voices, in other languages, held out",
    "stops": "Sentences of a second and more, held out: do they stop the agent?",
    "not_speech": "Sounds that are not speech, alone",
    "other_music": "Music of another kind, held out",
    "reported": "Other people's speech, and what is like a voice: reported, not judged",
    "calls": "Whole conversations: the agent talks, the line sounds like this",
}


def table(rows: list[dict[str, object]]) -> str:
    """Format the rows as a Markdown table."""
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [
        " | ".join(f"{value:.0f}" if isinstance(value, float) else str(value) for value in row.values()) for row in rows
    ]
    return "\n".join(f"| {line} |" for line in lines).replace("_", " ")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.vad", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="length of each sound that is not speech")
    parser.add_argument("--prompts", type=int, help="at most so many of each kind")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    try:
        results = measure(options.seconds, options.prompts)
    except sounds.MissingError as error:
        print(error, file=sys.stderr)
        return 1
    for name, rows in results.items():
        if not rows:
            continue  # not installed
        print(f"\n{TITLES[name]}\n\n{table(rows)}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
