"""The command python -m bench.hearing: which callers over the agent are heard, which other sounds stop it, and the effect of its echo.

In virtual time.  Sentences are grouped by voice, each of which is a language or a dialect.  Delays are milliseconds from the first
audible sample to the end of the frame that clears.  Of each voice's prompts one half, by a hash of the name, was used to choose
thresholds (`--half tune`), the other half is reported.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.hearing_line import EchoPath, Reactions, SimulatedCaller, joined, room
from media.io.silero import Silero
from tests.support import sounds
from tests.support.sounds import FRAME, RATE_HZ, Prompt, Wave

AGENT_DB = -20.0
LEVELS_DB = (-12, -18, -24, -30, -36)
NOISES = (
    ("quiet", None, 0),
    ("white 20", sounds.white, 20),
    ("white 10", sounds.white, 10),
    ("pink 20", sounds.pink, 20),
    ("pink 10", sounds.pink, 10),
)
RELATIVE_DB = (5, 0, -5, -10, -15, -20)
ECHOES_DB = (None, 40, 32, 26, 20, 14)
LATE_MS = (50, 150, 400)
SYLLABLES_MS = (150, 200, 250, 300, 350)
HUM_NOISES_DB = (40, 20, 10, 5)  # below -22 dBFS
#: A caller at -22 dBFS is 14 to 26 dB louder.
TELEVISIONS_DB = (-36, -42, -48)
TURN_SECONDS, REST_SECONDS = 20.0, 2.0
HUMS_HZ = (50, 60, 75, 100, 120, 150, 180, 200, 240, 300, 400)
LEAD_SECONDS, SAID_SECONDS, MAX_ONSET_MS = 0.8, 1.5, 1_000.0
WARM_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Sentences:
    voice: str
    line: str
    trials: int
    cut_percent: float
    onset_p50_ms: float
    onset_p99_ms: float
    late: int  # onsets after 160 ms
    early: int  # onsets before the speech


@dataclass(frozen=True, slots=True)
class Alarms:
    sound: str
    seconds: float
    clears: int
    cuts: int
    clears_per_hour: float


@dataclass(frozen=True, slots=True)
class Echoes:
    echo: str
    minutes: float
    clears: int
    cuts: int
    clears_per_minute: float


@dataclass(frozen=True, slots=True)
class Syllables:
    ms: int
    trials: int
    cleared: int
    cut: int


class Corpus:
    """The voices of one half, whole sentences only, and an agent with a voice of its own where there are two."""

    def __init__(self, *, held: bool, limit: int | None) -> None:
        self.voices: dict[str, list[Prompt]] = {}
        folders = [path for path in sounds.SOUNDS.parent.glob("*") if path.is_dir() and not path.is_symlink()]
        for folder in sorted(folders):
            prompts = sounds.prompts(held, folder=folder)
            whole = [prompt for prompt in prompts if len(prompt.wave) - prompt.begins >= RATE_HZ]
            if whole:
                self.voices[folder.name] = _spread(whole, limit)
        if not self.voices:
            raise sounds.MissingError(f"there are no prompts below {sounds.SOUNDS.parent}; on Debian: {sounds.INSTALL}")
        agents = sounds.prompts(held=False)
        self.agent = joined([prompt.wave for prompt in agents if len(prompt.wave) >= 2 * RATE_HZ][:40], AGENT_DB)
        other = sounds.prompts(held=False, folder=sounds.SOUNDS.parent / next(iter(self.voices)))
        self.other_agent = joined(
            [prompt.wave for prompt in other if len(prompt.wave) >= 2 * RATE_HZ][:40], AGENT_DB - 6
        )


def _spread(prompts: list[Prompt], limit: int | None) -> list[Prompt]:
    """Return at most `limit` prompts, evenly from all."""
    if limit is None or len(prompts) <= limit:
        return prompts
    return [prompts[n * len(prompts) // limit] for n in range(limit)]


def said(prompt: Prompt, level_db: float, seed: int, seconds: float = SAID_SECONDS) -> tuple[Wave, float]:
    """Return the beginning of a sentence at a level, after silence, and the second at which it begins audibly.

    Prompts are at -22 dBFS; they do not begin on a frame's boundary.
    """
    lead = LEAD_SECONDS + (seed % FRAME) / RATE_HZ
    wave = prompt.wave[: prompt.begins + round(seconds * RATE_HZ)] * 10 ** ((level_db + 22) / 20)
    clean = np.concatenate((sounds.silence(lead), wave, sounds.silence(0.5)))
    return clean, lead + prompt.begins / RATE_HZ


def noisy(clean: Wave, line: str, level_db: float, seed: int) -> Wave:
    """Return `clean` with the noise of a line."""
    seconds = len(clean) / RATE_HZ + 0.01
    for name, make, below_db in NOISES:
        if name == line and make is not None:
            return sounds.mix(clean, make(seconds, level_db - below_db, seed))
    return sounds.mix(clean, sounds.white(seconds, -75.0, seed))


def _row(voice: str, line: str, results: Sequence[tuple[Reactions, float]]) -> Sentences:
    delays, cut = [], 0
    for reaction, begins in results:
        delays += [(at - begins) * 1000 for at in reaction.clears[:1]]
        cut += bool(reaction.cuts)
    good = [delay for delay in delays if 0 <= delay <= MAX_ONSET_MS] or [float("nan")]
    p50, p99 = (float(value) for value in np.percentile(good, (50, 99)))
    late, early = sum(delay > 160 for delay in delays), sum(delay < 0 for delay in delays)
    return Sentences(voice, line, len(results), 100 * cut / len(results), p50, p99, late, early)


def sentences(corpus: Corpus, silero: Silero) -> Iterator[Sentences]:
    """Yield rows without echo: each voice at each level on the quiet line, and in noise at -24 dBFS."""
    all_voices: dict[str, list[tuple[Reactions, float]]] = {}
    for voice, prompts in corpus.voices.items():
        for line, level_db in [("quiet", level) for level in LEVELS_DB] + [(name, -24) for name, _, _ in NOISES[1:]]:
            results = []
            for seed, prompt in enumerate(prompts):
                clean, begins = said(prompt, level_db, seed)
                reaction = warm(SimulatedCaller(corpus.agent, silero), noisy(clean, line, level_db, seed))
                results.append((reaction, begins + WARM_SECONDS))
            name = f"{level_db} dBFS, {line}"
            all_voices.setdefault(name, []).extend(results)
            yield _row(voice, name, results)
    for name, all_results in all_voices.items():
        yield _row("all", name, all_results)


def relative(corpus: Corpus, silero: Silero) -> Iterator[Sentences]:
    """Yield rows of callers who are louder or softer than the agent, on lines with its echo."""
    prompts = [prompt for voice in corpus.voices.values() for prompt in _spread(voice, 16)]
    for loss_db in ECHOES_DB:
        for below_db in RELATIVE_DB:
            results = []
            for seed, prompt in enumerate(prompts):
                clean, begins = said(prompt, AGENT_DB + below_db, seed)
                line = SimulatedCaller(corpus.agent[seed * 8_000 :], silero, _echo(loss_db, seed))
                results.append((warm(line, noisy(clean, "quiet", 0, seed)), begins + WARM_SECONDS))
            yield _row(f"{below_db:+} dB", f"echo {loss_db or 'none'}", results)


def warm(line: SimulatedCaller, wave: Wave) -> Reactions:
    """Return the reaction to `wave` after WARM_SECONDS of the agent alone, in which the gate learns the line's echo."""
    line.play(sounds.white(WARM_SECONDS, -75.0, 4))
    line.reactions = Reactions()
    return line.play(wave)


def _echo(loss_db: float | None, seed: int) -> EchoPath | None:
    return None if loss_db is None else EchoPath(loss_db, LATE_MS[seed % len(LATE_MS)])


def syllables(corpus: Corpus, silero: Silero) -> Iterator[Syllables]:
    """Yield rows of short beginnings of sentences, which end softly: backchannels."""
    prompts = [prompt for voice in corpus.voices.values() for prompt in _spread(voice, 20)]
    for ms in SYLLABLES_MS:
        cleared = cut = 0
        for seed, prompt in enumerate(prompts):
            clean, begins = said(prompt, -22.0, seed, ms / 1000)
            begin, end = round(begins * RATE_HZ), len(clean) - round(0.5 * RATE_HZ)
            clean[:begin] = 0
            clean[begin : begin + 40] *= np.linspace(0, 1, 40)
            clean[end - 80 : end] *= np.linspace(1, 0, 80)
            reaction = warm(SimulatedCaller(corpus.agent, silero), noisy(clean, "quiet", 0, seed))
            cleared, cut = cleared + bool(reaction.clears), cut + bool(reaction.cuts)
        yield Syllables(ms, len(prompts), cleared, cut)


def bursts(make: Iterable[Wave], seed: int = 1) -> Wave:
    """Return each of these sounds after 1 to 2 s of a quiet line."""
    random = np.random.default_rng(seed)
    pieces = [piece for sound in make for piece in (sounds.silence(random.uniform(1, 2)), sound)]
    clean = np.concatenate((*pieces, sounds.silence(1)))
    return sounds.mix(clean, sounds.white(len(clean) / RATE_HZ + 0.01, -75.0))


def hums(seconds: float) -> Iterator[tuple[str, Wave]]:
    """Yield hums that begin on a quiet line, of a sine and of the mains' harmonics, at two levels."""
    count = max(2, round(seconds / len(HUMS_HZ) / 2.5))
    random = np.random.default_rng(3)
    for hz in HUMS_HZ:
        waves = []
        for n in range(count):
            length, level_db = random.uniform(0.3, 1.5), (-18.0, -28.0)[n // 2 % 2]
            plain = sounds.tones((hz,), length, level_db)
            waves.append(plain if n % 2 else sounds.hum(length, level_db, hz))
        yield f"hum of {hz} Hz", bursts(waves)


def not_speech(seconds: float) -> Iterator[tuple[str, Wave]]:
    yield from hums(seconds)
    yield "white noise", sounds.white(seconds, -30)
    yield "pink noise", sounds.pink(seconds, -25)
    random = np.random.default_rng(5)
    # As long as the coughs, since a clear is rare.
    lengths = [random.uniform(0.05, 1.0) for _ in range(round(12 * seconds / 2.1))]
    yield "bursts of white noise", bursts([sounds.white(length, -25, n) for n, length in enumerate(lengths)])
    yield "bursts of pink noise", bursts([sounds.pink(length, -22, n) for n, length in enumerate(lengths)])
    yield "DTMF", sounds.dtmf(seconds, -20)
    yield "ringback", sounds.ringback(seconds, -20)
    yield "beeps", sounds.beeps(seconds, -20)
    yield "clicks", sounds.clicks(seconds, -15)
    yield "coughs", np.concatenate([sounds.coughs(seconds, -22, seed) for seed in range(1, 13)])
    for name, wave in sounds.music().items():
        yield f"music: {name}", wave
    for name, wave in sounds.other_music(seconds).items():
        yield f"music: {name}", wave


def alarms(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Alarms]:
    for sound, wave in not_speech(seconds):
        line = SimulatedCaller(corpus.agent, silero)
        reaction = warm(line, wave)
        hours = line.seconds / 3600
        yield Alarms(sound, line.seconds, len(reaction.clears), len(reaction.cuts), len(reaction.clears) / hours)


def hums_in_noise(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Alarms]:
    """Yield rows of hums of 0.3 to 1.5 s, -30 to -14 dBFS, that begin on a line with noise."""
    random, count = np.random.default_rng(3), max(2, round(seconds / len(HUMS_HZ) / 2.5))
    waves = []
    for hz in HUMS_HZ:
        for n in range(count):
            length, level_db = random.uniform(0.3, 1.5), random.uniform(-30, -14)
            waves.append(sounds.tones((hz,), length, level_db) if n % 2 else sounds.hum(length, level_db, hz))
    clean = bursts(waves)
    for name, make in (("white", sounds.white), ("pink", sounds.pink)):
        for below_db in HUM_NOISES_DB:
            line = SimulatedCaller(corpus.agent, silero)
            reaction = warm(line, sounds.mix(clean, make(len(clean) / RATE_HZ + 0.01, -22.0 - below_db, 2)))
            sound = f"{len(waves)} hums, {name} noise {below_db} dB below -22 dBFS"
            yield Alarms(
                sound,
                line.seconds,
                len(reaction.clears),
                len(reaction.cuts),
                len(reaction.clears) * 3600 / line.seconds,
            )


def televisions(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Alarms]:
    """Yield rows of an endless background voice, in a room with 0.3 s of reverberation.

    The caller takes a turn every TURN_SECONDS, and the agent rests after each cut.  Only the agent's speech counts.
    """
    prompts = [prompt for voice in corpus.voices.values() for prompt in voice]
    said = joined([prompt.wave for prompt in prompts], -22.0)[: round(seconds * RATE_HZ)]
    reverberant = np.convolve(said, room(0.0))[: len(said)]
    turn = prompts[0].wave[: 2 * RATE_HZ]
    for level_db in TELEVISIONS_DB:
        sound = sounds.at_level(reverberant, level_db)
        wave = sounds.mix(sound, sounds.white(len(sound) / RATE_HZ + 0.01, -75.0))
        line = SimulatedCaller(corpus.agent, silero, rest_seconds=REST_SECONDS)
        for begin in range(0, len(wave) - len(turn), round(TURN_SECONDS * RATE_HZ)):
            line.take_turn(wave[begin : begin + len(turn)] + turn)
            line.play(wave[begin + len(turn) : begin + round(TURN_SECONDS * RATE_HZ)])
        clears, cuts = len(line.reactions.clears), len(line.reactions.cuts)
        yield Alarms(f"a television, {level_db} dBFS", line.seconds, clears, cuts, clears * 3600 / line.seconds)


def echoes(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Echoes]:
    """Yield rows of the agent's echo alone: from the beginning, in the middle of a call, and when another agent takes over."""
    for loss_db in (*ECHOES_DB[1:], 10):
        for name, after in (("from the beginning", 0.0), ("after 20 s", 20.0), ("another agent", 0.0)):
            clears = cuts = 0
            for late_ms in LATE_MS:
                line = SimulatedCaller(corpus.agent[late_ms * 100 :], silero, EchoPath(loss_db, late_ms, after))
                line.play(sounds.white(after + seconds / 2, -70.0))
                if name == "another agent":
                    line.reactions = Reactions()
                    line.agent.says = corpus.other_agent
                line.play(sounds.white(seconds / 2, -70.0, 2))
                clears, cuts = clears + len(line.reactions.clears), cuts + len(line.reactions.cuts)
            minutes = len(LATE_MS) * seconds / 60 / (2 if name == "another agent" else 1)
            yield Echoes(f"{loss_db} dB, {name}", minutes, clears, cuts, clears / minutes)


PARTS = ("sentences", "relative", "syllables", "alarms", "hums", "televisions", "echoes")


def measure(
    parts: Sequence[str], seconds: float, limit: int | None, *, held: bool
) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Yield the tables by name.  Raises MissingError."""
    silero, corpus = Silero.load(), Corpus(held=held, limit=limit)
    for part in parts:
        match part:
            case "sentences":
                yield part, [asdict(row) for row in sentences(corpus, silero)]
            case "relative":
                yield part, [asdict(row) for row in relative(corpus, silero)]
            case "syllables":
                yield part, [asdict(row) for row in syllables(corpus, silero)]
            case "alarms":
                yield part, [asdict(row) for row in alarms(corpus, seconds, silero)]
            case "hums":
                yield part, [asdict(row) for row in hums_in_noise(corpus, seconds, silero)]
            case "televisions":
                yield part, [asdict(row) for row in televisions(corpus, seconds, silero)]
            case _:
                yield part, [asdict(row) for row in echoes(corpus, min(seconds, 60.0), silero)]


TITLES = {
    "sentences": "Sentences without an echo",
    "relative": "Callers louder or softer than the agent, and its echo",
    "syllables": "Syllables",
    "alarms": "What is no speech",
    "hums": "Hums in noise",
    "televisions": "A television",
    "echoes": "The agent's echo alone",
}


def table(rows: list[dict[str, object]]) -> str:
    """Format the rows as a Markdown table."""
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [
        " | ".join(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()) for row in rows
    ]
    return "\n".join(f"| {line} |" for line in lines).replace("_", " ")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hearing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="length of each sound that is not speech")
    parser.add_argument("--prompts", type=int, default=60, help="at most so many sentences of each voice")
    parser.add_argument("--half", choices=("tune", "held"), default="held", help="which half of the prompts")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which tables")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    results: dict[str, list[dict[str, object]]] = {}
    try:
        for name, rows in measure(options.parts, options.seconds, options.prompts, held=options.half == "held"):
            results[name] = rows
            print(f"\n## {TITLES[name]}\n\n{table(rows)}", flush=True)
    except sounds.MissingError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
