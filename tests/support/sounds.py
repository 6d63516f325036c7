"""Sounds: recorded prompts and hold music from Debian packages, and synthesized sounds.

Everything is mono float64 in -1..1 at 8 kHz.  Prompts are split into halves by the hash of their name: `tune`, on which
thresholds were chosen, and `held`, on which results are reported.
"""

import io
import shutil
import subprocess
import wave
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from media.core.audio import from_linear

RATE_HZ = 8_000
FRAME = 160
SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
MUSIC = Path("/usr/share/asterisk/moh")
#: From asterisk-core-sounds-{it,fr,ru,es}-wav and asterisk-prompt-it-menardi-wav; the last is the English speaker in Spanish, unused for any threshold.
OTHER_VOICES = ("it_IT_m_Carlo", "it_IT_f_Menardi", "fr_CA_f_June", "ru_RU_f_IvrvoiceRU", "es_MX_f_Allison")
#: From the packages a7xpg-data, extremetuxracer-data and neverball-data; unused for any threshold.
OTHER_MUSIC = {
    "a7xpg": Path("/usr/share/games/a7xpg/sounds"),
    "etr": Path("/usr/share/games/etr/music"),
    "neverball": Path("/usr/share/games/neverball/bgm"),
}
MIN_MUSIC_SECONDS = 20
#: Length of the mirrored extensions of both ends for the filter, in samples.
EDGE = 2_400
INSTALL = (
    "apt-get update && apt-get install -y --no-install-recommends asterisk-core-sounds-en-wav asterisk-moh-opsound-wav"
)
#: Recordings without speech.
NOT_SPEECH = ("beep", "2tone", "monkeys", "glorious", "silence", "confbridge-join.wav", "confbridge-leave.wav")
DTMF_HZ = tuple((low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477))

Wave = npt.NDArray[np.float64]
Maker = Callable[[np.random.Generator], Wave]


class MissingError(Exception):
    """The recordings are not installed."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence spoken by a human; `begins` is the sample at which it audibly begins."""

    name: str
    wave: Wave
    begins: int


def read(path: Path) -> Wave:
    """Read a WAV file of 16-bit mono at 8 kHz, or one that sox makes of a GSM file."""
    source: str | io.BytesIO = str(path)
    if path.suffix == ".gsm":
        command = ["sox", "-t", "gsm", str(path), "-t", "wav", "-e", "signed", "-b", "16", "-"]
        source = io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout)
    with wave.open(source, "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE_HZ, 1, 2):
            raise ValueError(f"{path} is not 16-bit mono at 8 kHz")
        # The length that sox writes ahead of a pipe is a guess.
        samples = np.frombuffer(file.readframes(2**24), np.int16).astype(np.float64) / 32_768
    return without_thump(samples) if path.suffix == ".gsm" else samples


def without_thump(samples: Wave) -> Wave:
    """Drop the decoder's first frame if it is the microphone's offset, which falls to zero: a thump 100 to 300 ms before the voice.

    Other recordings begin with the voice.
    """
    first = samples[:FRAME]
    return samples[FRAME:] if 2 * first.mean() ** 2 > (first**2).mean() else samples


def recordings(folder: Path) -> list[Path]:
    """Return the files of a voice: WAV, or GSM where sox is installed."""
    kinds = (".wav", ".gsm") if shutil.which("sox") else (".wav",)
    return sorted(path for path in folder.rglob("*") if path.suffix in kinds)


def prompts(held: bool, level_db: float = -22.0, folder: Path | None = None) -> list[Prompt]:
    """Return one half of the prompts, each at the same speech level.  Raises MissingError."""
    folder = SOUNDS if folder is None else folder
    if not folder.is_dir():
        raise MissingError(f"there are no prompts in {folder}; on Debian: {INSTALL}")
    selected = []
    for path in recordings(folder):
        name = str(path.relative_to(folder))
        if any(word in name for word in NOT_SPEECH) or zlib.crc32(name.encode()) % 2 != held:
            continue
        samples = read(path)
        if len(samples) >= RATE_HZ // 4:
            selected.append(spoken(name, samples, level_db))
    return selected


def music() -> dict[str, Wave]:
    """Return hold music by name.  Raises MissingError."""
    paths = sorted(MUSIC.glob("*.wav"))
    if not paths:
        raise MissingError(f"there is no hold music in {MUSIC}; on Debian: {INSTALL}")
    return {path.stem: at_level(read(path), -22.0) for path in paths}


def other_voices() -> dict[str, list[Prompt]]:
    """Return whole sentences of other speakers in other languages, as far as installed."""
    folders = [folder for voice in OTHER_VOICES if (folder := SOUNDS.parent / voice).is_dir()]
    return {
        folder.name: [prompt for prompt in prompts(held=True, folder=folder) if len(prompt.wave) >= RATE_HZ]
        for folder in folders
    }


@cache
def other_music(seconds: float) -> dict[str, Wave]:
    """Return `seconds` of other music by its game, where that and `oggdec` (vorbis-tools) are installed."""
    if shutil.which("oggdec") is None:
        return {}
    tracks = {}
    for name, folder in OTHER_MUSIC.items():
        pieces: list[Wave] = []
        for path in sorted(folder.glob("*.ogg")):
            if sum(map(len, pieces)) >= seconds * RATE_HZ:
                break
            if len(piece := _decoded(path)) >= MIN_MUSIC_SECONDS * RATE_HZ:
                pieces.append(at_level(piece, -22.0))
        if pieces:
            tracks[name] = np.concatenate(pieces)[: round(seconds * RATE_HZ)]
    return tracks


def _decoded(path: Path) -> Wave:
    """Decode an Ogg file to mono at 8 kHz, cut off above 3.4 kHz like telephone audio."""
    decoded = subprocess.run(["oggdec", "--quiet", "--output", "-", str(path)], capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(decoded)) as file:
        rate_hz, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, channels).mean(axis=1)
    spectrum = np.fft.rfft(samples / 32_768)
    size = len(samples) * RATE_HZ // rate_hz
    passed = spectrum[: size // 2 + 1].copy()
    passed[np.arange(len(passed)) * rate_hz / len(samples) > 3_400] = 0
    resampled: Wave = np.fft.irfft(passed, size) * size / len(samples)
    return resampled


def telephone(samples: Wave) -> Wave:
    """Filter out frequencies that no telephone sends, such as the slow wave below 60 Hz that begins some recordings.

    ITU-T G.712 passes 300 Hz and more; this removes frequencies below 50 Hz and keeps those above 150, a deep voice's pitch.
    Both ends are extended by their mirror image, since an offset at the beginning or end would otherwise become a step.
    """
    edge = min(EDGE, len(samples) - 1)
    begins, ends = 2 * samples[0] - samples[edge:0:-1], 2 * samples[-1] - samples[-2 : -edge - 2 : -1]
    longer = np.concatenate((begins, samples, ends))
    hertz = np.fft.rfftfreq(len(longer), 1 / RATE_HZ)
    filtered = np.fft.irfft(np.fft.rfft(longer) * np.clip((hertz - 50) / 100, 0, 1), len(longer))
    return filtered[edge : edge + len(samples)]


def spoken(name: str, samples: Wave, level_db: float) -> Prompt:
    """Return `samples` as a telephone sends them, at a speech level of `level_db`.

    The prompt begins in the first 20 ms that are within 25 dB of the loudest.
    """
    samples = telephone(samples)
    size = len(samples) // FRAME * FRAME
    power = (samples[:size].reshape(-1, FRAME) ** 2).mean(axis=1)
    loud = power > np.max(power) / 10**2.5
    scaled = samples * (10 ** (level_db / 20) / np.sqrt(power[loud].mean()))
    # The beginning is the first sample in that frame within 10 dB of the frame's mean.
    frame = int(np.argmax(loud))
    inside = samples[frame * FRAME : (frame + 1) * FRAME] ** 2
    return Prompt(name, scaled, frame * FRAME + int(np.argmax(inside > power[frame] / 10)))


def at_level(samples: Wave, level_db: float) -> Wave:
    rms = float(np.sqrt((samples**2).mean()))
    return samples * (10 ** (level_db / 20) / rms) if rms else samples


def white(seconds: float, level_db: float, seed: int = 1) -> Wave:
    return at_level(np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)), level_db)


def pink(seconds: float, level_db: float, seed: int = 1) -> Wave:
    """Return noise whose level falls by 3 dB per octave above 20 Hz."""
    size = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    return at_level(np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0)), size), level_db)


def tones(hertz: tuple[float, ...], seconds: float, level_db: float) -> Wave:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return at_level(np.sum([np.sin(2 * np.pi * frequency * at) for frequency in hertz], axis=0), level_db)


def silence(seconds: float) -> Wave:
    return np.zeros(round(seconds * RATE_HZ))


def dtmf(seconds: float, level_db: float, seed: int = 1) -> Wave:
    """Return keys pressed for 60 to 300 ms with pauses of 100 to 400 ms."""
    return _train(seconds, seed, lambda g: tones(DTMF_HZ[g.integers(12)], g.uniform(0.06, 0.3), level_db), (0.1, 0.4))


def beeps(seconds: float, level_db: float, seed: int = 1) -> Wave:
    """Return single tones of 80 to 1500 Hz, 0.1 to 0.5 s long, each after 1 to 2 s of silence."""

    def beep(random: np.random.Generator) -> Wave:
        return tones((80 * (1_500 / 80) ** random.uniform(),), random.uniform(0.1, 0.5), level_db)

    return _train(seconds, seed, beep, (1.0, 2.0))


def glides(seconds: float, level_db: float, seed: int = 1) -> Wave:
    """Return tones that glide from one pitch to another, both in a voice's range (100 to 300 Hz), in 0.2 to 0.6 s.

    Each is followed by 1 to 2 s of silence.
    """

    def glide(random: np.random.Generator) -> Wave:
        begins, ends = random.uniform(100, 300, 2)
        hertz = np.linspace(begins, ends, int(random.uniform(0.2, 0.6) * RATE_HZ))
        return at_level(np.sin(2 * np.pi * np.cumsum(hertz) / RATE_HZ), level_db)

    return _train(seconds, seed, glide, (1.0, 2.0))


def ringback(seconds: float, level_db: float) -> Wave:
    """Return North American ringback, 440 and 480 Hz, 2 s of every 6, and European, 425 Hz, 1 s of every 5."""
    both = (tones((440, 480), 2, level_db), silence(4), tones((425,), 1, level_db), silence(4))
    return np.resize(np.concatenate(both), round(seconds * RATE_HZ))


def hum(seconds: float, level_db: float, hertz: float = 60.0) -> Wave:
    """Return line hum: the mains and its harmonics."""
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return at_level(np.sum([np.sin(2 * np.pi * hertz * n * at) / n for n in range(1, 9)], axis=0), level_db)


def clicks(seconds: float, level_db: float, seed: int = 1) -> Wave:
    """Return decaying bursts of 2 to 30 ms, 0.2 to 1 s apart."""

    def click(random: np.random.Generator) -> Wave:
        size = int(random.uniform(0.002, 0.03) * RATE_HZ)
        burst = random.standard_normal(size) * np.exp(-np.arange(size) * 5 / size)
        return at_level(burst, level_db)

    return _train(seconds, seed, click, (0.2, 1.0))


def coughs(seconds: float, level_db: float, seed: int = 1) -> Wave:
    """Return cough-like sounds: one to three unvoiced bursts of shaped noise, 80 to 250 ms each; then 1 to 3 s of silence."""

    def cough(random: np.random.Generator) -> Wave:
        bursts = []
        for _ in range(random.integers(1, 4)):
            size = int(random.uniform(0.08, 0.25) * RATE_HZ)
            spectrum = np.fft.rfft(random.standard_normal(size))
            hertz = np.fft.rfftfreq(size, 1 / RATE_HZ)
            shaped = spectrum * np.exp(-(((hertz - random.uniform(500, 1_200)) / 600) ** 2))
            rise = np.minimum(1.0, np.arange(size) / 80) * np.exp(-np.arange(size) * 4 / size)
            bursts += [at_level(np.fft.irfft(shaped, size) * rise, level_db), silence(random.uniform(0.05, 0.2))]
        return np.concatenate(bursts)

    return _train(seconds, seed, cough, (1.0, 3.0))


def babble(seconds: float, level_db: float, voices: list[Prompt], talkers: int = 6, seed: int = 1) -> Wave:
    """Return several people at once, each speaking without a pause."""
    random = np.random.default_rng(seed)
    size = round(seconds * RATE_HZ)
    mixed = np.zeros(size)
    for _ in range(talkers):
        order = random.permutation(len(voices))
        mixed += np.resize(np.concatenate([voices[int(n)].wave for n in order]), size)
    return at_level(mixed, level_db)


def echo(agent: Wave, loss_db: float, late_ms: float) -> Wave:
    """Return the echo of the agent's voice."""
    late = round(late_ms * RATE_HZ / 1000)
    return np.concatenate((np.zeros(late), agent))[: len(agent)] * 10 ** (-loss_db / 20)


def mix(first: Wave, *others: Wave) -> Wave:
    """Add sounds sample by sample; the result is as long as the first."""
    out = first.copy()
    for other in others:
        size = min(len(out), len(other))
        out[:size] += other[:size]
    return out


def _train(seconds: float, seed: int, make: Maker, pause_seconds: tuple[float, float]) -> Wave:
    random = np.random.default_rng(seed)
    pieces: list[Wave] = []
    left = round(seconds * RATE_HZ)
    while left > 0:
        pieces += [make(random), silence(random.uniform(*pause_seconds))]
        left -= len(pieces[-2]) + len(pieces[-1])
    return np.concatenate(pieces)[: round(seconds * RATE_HZ)]


def ulaw(samples: Wave) -> bytes:
    """Encode whole 20 ms frames as mu-law; drop the remainder."""
    size = len(samples) // FRAME * FRAME
    return from_linear((np.clip(samples[:size], -1, 1) * 32_767).astype(np.int16).tobytes())


def frames(samples: Wave) -> list[bytes]:
    coded = ulaw(samples)
    return [coded[a:b] for a, b in pairwise(range(0, len(coded) + 1, FRAME))]
