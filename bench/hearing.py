"""python -m bench.hearing: who speaks over the agent and is heard, what else stops it, and what its echo does.  In virtual time.

Sentences are told apart by their voices, each of which is a language or a dialect.  Delays are milliseconds from the first audible
sample to the end of the frame that clears.  Of each voice's prompts one half, by a hash of the name, was used to choose
thresholds (`--half tune`), the other half is reported.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench import sounds
from bench.hearing_line import Echo, Line, Told, joined, room
from bench.sounds import FRAME, RATE_HZ, Prompt, Wave
from media.io.silero import Silero

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
TELEVISIONS_DB = (-36, -42, -48)  # a caller at -22 dBFS is 14 to 26 dB louder
HUMS_HZ = (50, 60, 75, 100, 120, 150, 180, 200, 240, 300, 400)
LEAD_SECONDS, SAID_SECONDS, LONGEST_MS = 0.8, 1.5, 1_000.0
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
    """The voices of one half, whole sentences only, and an agent who is none of them where there are two."""

    def __init__(self, *, held: bool, limit: int | None) -> None:
        self.voices: dict[str, list[Prompt]] = {}
        folders = [each for each in sounds.SOUNDS.parent.glob("*") if each.is_dir() and not each.is_symlink()]
        for folder in sorted(folders):
            prompts = sounds.prompts(held, folder=folder)
            whole = [each for each in prompts if len(each.wave) - each.begins >= RATE_HZ]
            if whole:
                self.voices[folder.name] = _spread(whole, limit)
        if not self.voices:
            raise sounds.MissingError(f"there are no prompts below {sounds.SOUNDS.parent}; on Debian: {sounds.INSTALL}")
        agents = sounds.prompts(held=False)
        self.agent = joined([each.wave for each in agents if len(each.wave) >= 2 * RATE_HZ][:40], AGENT_DB)
        other = sounds.prompts(held=False, folder=sounds.SOUNDS.parent / next(iter(self.voices)))
        self.other_agent = joined([each.wave for each in other if len(each.wave) >= 2 * RATE_HZ][:40], AGENT_DB - 6)


def _spread(prompts: list[Prompt], limit: int | None) -> list[Prompt]:
    """At most `limit` of them, evenly from all."""
    if limit is None or len(prompts) <= limit:
        return prompts
    return [prompts[n * len(prompts) // limit] for n in range(limit)]


def said(prompt: Prompt, level_db: float, seed: int, seconds: float = SAID_SECONDS) -> tuple[Wave, float]:
    """The beginning of a sentence at a level, after silence, and when it begins audibly in seconds.

    Prompts are at -22 dBFS; they do not begin on a frame's boundary.
    """
    lead = LEAD_SECONDS + (seed % FRAME) / RATE_HZ
    wave = prompt.wave[: prompt.begins + round(seconds * RATE_HZ)] * 10 ** ((level_db + 22) / 20)
    clean = np.concatenate((sounds.silence(lead), wave, sounds.silence(0.5)))
    return clean, lead + prompt.begins / RATE_HZ


def noisy(clean: Wave, line: str, level_db: float, seed: int) -> Wave:
    """`clean` with the noise of a line."""
    seconds = len(clean) / RATE_HZ + 0.01
    for name, make, below_db in NOISES:
        if name == line and make is not None:
            return sounds.mix(clean, make(seconds, level_db - below_db, seed))
    return sounds.mix(clean, sounds.white(seconds, -75.0, seed))


def _row(voice: str, line: str, told: Sequence[tuple[Told, float]]) -> Sentences:
    delays, cut = [], 0
    for each, begins in told:
        delays += [(at - begins) * 1000 for at in each.clears[:1]]
        cut += bool(each.cuts)
    good = [each for each in delays if 0 <= each <= LONGEST_MS] or [float("nan")]
    p50, p99 = (float(each) for each in np.percentile(good, (50, 99)))
    late, early = sum(each > 160 for each in delays), sum(each < 0 for each in delays)
    return Sentences(voice, line, len(told), 100 * cut / len(told), p50, p99, late, early)


def sentences(corpus: Corpus, silero: Silero) -> Iterator[Sentences]:
    """No echo: each voice at each level on the quiet line, and in noise at -24 dBFS."""
    everyone: dict[str, list[tuple[Told, float]]] = {}
    for voice, prompts in corpus.voices.items():
        for line, level_db in [("quiet", each) for each in LEVELS_DB] + [(name, -24) for name, _, _ in NOISES[1:]]:
            told = []
            for seed, prompt in enumerate(prompts):
                clean, begins = said(prompt, level_db, seed)
                heard = warm(Line(corpus.agent, silero), noisy(clean, line, level_db, seed))
                told.append((heard, begins + WARM_SECONDS))
            name = f"{level_db} dBFS, {line}"
            everyone.setdefault(name, []).extend(told)
            yield _row(voice, name, told)
    for name, each in everyone.items():
        yield _row("all", name, each)


def relative(corpus: Corpus, silero: Silero) -> Iterator[Sentences]:
    """Callers who are louder or softer than the agent, on lines with its echo."""
    prompts = [each for voice in corpus.voices.values() for each in _spread(voice, 16)]
    for loss_db in ECHOES_DB:
        for below_db in RELATIVE_DB:
            told = []
            for seed, prompt in enumerate(prompts):
                clean, begins = said(prompt, AGENT_DB + below_db, seed)
                line = Line(corpus.agent[seed * 8_000 :], silero, _echo(loss_db, seed))
                told.append((warm(line, noisy(clean, "quiet", 0, seed)), begins + WARM_SECONDS))
            yield _row(f"{below_db:+} dB", f"echo {loss_db or 'none'}", told)


def warm(line: Line, wave: Wave) -> Told:
    """Tell what `wave` did after WARM_SECONDS of the agent alone, in which the line shows its echo or that it has none."""
    line.play(sounds.white(WARM_SECONDS, -75.0, 4))
    line.told = Told()
    return line.play(wave)


def _echo(loss_db: float | None, seed: int) -> Echo | None:
    return None if loss_db is None else Echo(loss_db, LATE_MS[seed % len(LATE_MS)])


def syllables(corpus: Corpus, silero: Silero) -> Iterator[Syllables]:
    """The beginnings of sentences, which end softly: nods."""
    prompts = [each for voice in corpus.voices.values() for each in _spread(voice, 20)]
    for ms in SYLLABLES_MS:
        cleared = cut = 0
        for seed, prompt in enumerate(prompts):
            clean, begins = said(prompt, -22.0, seed, ms / 1000)
            begin, end = round(begins * RATE_HZ), len(clean) - round(0.5 * RATE_HZ)
            clean[:begin] = 0
            clean[begin : begin + 40] *= np.linspace(0, 1, 40)
            clean[end - 80 : end] *= np.linspace(1, 0, 80)
            told = warm(Line(corpus.agent, silero), noisy(clean, "quiet", 0, seed))
            cleared, cut = cleared + bool(told.clears), cut + bool(told.cuts)
        yield Syllables(ms, len(prompts), cleared, cut)


def bursts(make: Iterable[Wave], seed: int = 1) -> Wave:
    """Each of these sounds after 1 to 2 s of a quiet line."""
    random = np.random.default_rng(seed)
    pieces = [piece for each in make for piece in (sounds.silence(random.uniform(1, 2)), each)]
    clean = np.concatenate((*pieces, sounds.silence(1)))
    return sounds.mix(clean, sounds.white(len(clean) / RATE_HZ + 0.01, -75.0))


def hums(seconds: float) -> Iterator[tuple[str, Wave]]:
    """Hums that begin on a quiet line, of a sine and of the mains' harmonics, at two levels."""
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
    lengths = [random.uniform(0.1, 1.0) for _ in range(round(seconds / 2.5))]
    yield "bursts of white noise", bursts([sounds.white(each, -25, n) for n, each in enumerate(lengths)])
    yield "bursts of pink noise", bursts([sounds.pink(each, -22, n) for n, each in enumerate(lengths)])
    yield "DTMF", sounds.dtmf(seconds, -20)
    yield "ringback", sounds.ringback(seconds, -20)
    yield "beeps", sounds.beeps(seconds, -20)
    yield "clicks", sounds.clicks(seconds, -15)
    yield "coughs", sounds.coughs(seconds, -22)
    for name, wave in sounds.music().items():
        yield f"music: {name}", wave
    for name, wave in sounds.other_music(seconds).items():
        yield f"music: {name}", wave


def alarms(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Alarms]:
    for sound, wave in not_speech(seconds):
        line = Line(corpus.agent, silero)
        told = warm(line, wave)
        hours = line.seconds / 3600
        yield Alarms(sound, line.seconds, len(told.clears), len(told.cuts), len(told.clears) / hours)


def hums_in_noise(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Alarms]:
    """Hums of 0.3 to 1.5 s, -30 to -14 dBFS, that begin on a line with noise."""
    random, count = np.random.default_rng(3), max(2, round(seconds / len(HUMS_HZ) / 2.5))
    waves = []
    for hz in HUMS_HZ:
        for n in range(count):
            length, level_db = random.uniform(0.3, 1.5), random.uniform(-30, -14)
            waves.append(sounds.tones((hz,), length, level_db) if n % 2 else sounds.hum(length, level_db, hz))
    clean = bursts(waves)
    for name, make in (("white", sounds.white), ("pink", sounds.pink)):
        for below_db in HUM_NOISES_DB:
            line = Line(corpus.agent, silero)
            told = warm(line, sounds.mix(clean, make(len(clean) / RATE_HZ + 0.01, -22.0 - below_db, 2)))
            sound = f"{len(waves)} hums, {name} noise {below_db} dB below -22 dBFS"
            yield Alarms(sound, line.seconds, len(told.clears), len(told.cuts), len(told.clears) * 3600 / line.seconds)


def televisions(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Alarms]:
    """Somebody else's voice without end, in a room with 0.3 s of reverberation."""
    prompts = [each for voice in corpus.voices.values() for each in voice]
    said = joined([each.wave for each in prompts], -22.0)[: round(seconds * RATE_HZ)]
    heard = np.convolve(said, room(0.0))[: len(said)]
    for level_db in TELEVISIONS_DB:
        line = Line(corpus.agent, silero)
        sound = sounds.at_level(heard, level_db)
        told = warm(line, sounds.mix(sound, sounds.white(len(sound) / RATE_HZ + 0.01, -75.0)))
        hours = line.seconds / 3600
        yield Alarms(
            f"a television, {level_db} dBFS", line.seconds, len(told.clears), len(told.cuts), len(told.clears) / hours
        )


def echoes(corpus: Corpus, seconds: float, silero: Silero) -> Iterator[Echoes]:
    """The agent's echo alone: from the beginning, from the middle of a call, and when another agent takes it over."""
    for loss_db in (*ECHOES_DB[1:], 10):
        for name, after in (("from the beginning", 0.0), ("after 20 s", 20.0), ("another agent", 0.0)):
            clears = cuts = 0
            for late_ms in LATE_MS:
                line = Line(corpus.agent[late_ms * 100 :], silero, Echo(loss_db, late_ms, after))
                line.play(sounds.white(after + seconds / 2, -70.0))
                if name == "another agent":
                    line.told = Told()
                    line.agent.says = corpus.other_agent
                line.play(sounds.white(seconds / 2, -70.0, 2))
                clears, cuts = clears + len(line.told.clears), cuts + len(line.told.cuts)
            minutes = len(LATE_MS) * seconds / 60 / (2 if name == "another agent" else 1)
            yield Echoes(f"{loss_db} dB, {name}", minutes, clears, cuts, clears / minutes)


PARTS = ("sentences", "relative", "syllables", "alarms", "hums", "televisions", "echoes")


def measure(
    parts: Sequence[str], seconds: float, limit: int | None, *, held: bool
) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """The tables by name.  Raises MissingError."""
    silero, corpus = Silero.load(), Corpus(held=held, limit=limit)
    for part in parts:
        match part:
            case "sentences":
                yield part, [asdict(each) for each in sentences(corpus, silero)]
            case "relative":
                yield part, [asdict(each) for each in relative(corpus, silero)]
            case "syllables":
                yield part, [asdict(each) for each in syllables(corpus, silero)]
            case "alarms":
                yield part, [asdict(each) for each in alarms(corpus, seconds, silero)]
            case "hums":
                yield part, [asdict(each) for each in hums_in_noise(corpus, seconds, silero)]
            case "televisions":
                yield part, [asdict(each) for each in televisions(corpus, seconds, silero)]
            case _:
                yield part, [asdict(each) for each in echoes(corpus, min(seconds, 60.0), silero)]


TITLES = {
    "sentences": "Sentences without an echo",
    "relative": "Callers louder or softer than the agent, and its echo",
    "syllables": "Syllables",
    "alarms": "What is no speech",
    "hums": "Hums in noise",
    "televisions": "A television: reported, not judged",
    "echoes": "The agent's echo alone",
}


def table(rows: list[dict[str, object]]) -> str:
    """Markdown."""
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [
        " | ".join(f"{each:.1f}" if isinstance(each, float) else str(each) for each in row.values()) for row in rows
    ]
    return "\n".join(f"| {line} |" for line in lines).replace("_", " ")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hearing", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="length of each sound that is not speech")
    parser.add_argument("--prompts", type=int, default=60, help="at most so many sentences of each voice")
    parser.add_argument("--half", choices=("tune", "held"), default="held", help="which half of the prompts")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which tables")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args(argv)
    told: dict[str, list[dict[str, object]]] = {}
    try:
        for name, rows in measure(given.parts, given.seconds, given.prompts, held=given.half == "held"):
            told[name] = rows
            print(f"\n## {TITLES[name]}\n\n{table(rows)}", flush=True)
    except sounds.MissingError as error:
        print(error, file=sys.stderr)
        return 1
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
