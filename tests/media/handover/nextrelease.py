"""The next release: a copy of the media plane whose classes have a field more, and calls in it.

As a program it reads a Request and writes an Outcome: what it has taken of a call that it shares with this release.
"""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import msgspec

ROOT = Path(__file__).parents[3]
#: A file of the plane, a text in it, and what stands in its place in the next release.
DIFFERENCES = (
    ("core/keypad.py", '    _digits: str = ""\n', '    _digits: str = ""\n    mood: int = 7\n'),
    ("core/heardposition.py", "    sent: int = 0\n", '    sent: int = 0\n    mood: str = "new"\n'),
    ("core/floor.py", '        "_arrivals",\n', '        "_arrivals", "mood",\n'),
    (
        "core/floor.py",
        "        self._arrivals = _Arrivals()\n",
        '        self._arrivals, self.mood = _Arrivals(), "calm"\n',
    ),
)


class Request(msgspec.Struct):
    """A snapshot of the call with this seed, made so many milliseconds after its beginning."""

    snapshot: bytes
    cut_ms: int
    seed: int


class Outcome(msgspec.Struct):
    """The next release's snapshot of that moment; what the call of the given one did, and the new fields' values in it."""

    snapshot: bytes
    acted: list[str]
    moods: list[str | int]


def make(place: Path) -> None:
    """Make the next release."""
    copytree(ROOT / "media", place / "media", ignore=ignore_patterns("_native", "__pycache__"))
    for name, before, after in DIFFERENCES:
        source = place / "media" / name
        text = source.read_text()
        assert text.count(before) == 1, f"{name} has no such line any more"
        source.write_text(text.replace(before, after))


def resume_in(place: Path, request: Request) -> Outcome:
    """Let the next release resume a call."""
    paths = os.pathsep.join(map(str, (place, ROOT)))
    command = (sys.executable, "-P", "-m", __name__)
    done = subprocess.run(
        command,
        input=msgspec.json.encode(request),
        env=os.environ | {"PYTHONPATH": paths},
        cwd=place,
        check=True,
        stdout=subprocess.PIPE,
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


def _main() -> None:
    import media
    from media.handover.snapshot import pack, unpack
    from tests.media.handover.simulated import HERE, acted, run
    from tests.support.simulation import Phone

    assert Path(media.__path__[0]) == Path.cwd() / "media"
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    own, moods = [], []

    def swap(phone: Phone) -> None:
        own.append(pack(phone.talk))
        talk = phone.talk = unpack(request.snapshot, HERE)
        moods.extend([talk._keypad.mood, talk._floor.mood])
        moods.extend(item.mood for item in talk._voice.playout.line)

    resumed = run([request.cut_ms], swap, request.seed)
    sys.stdout.buffer.write(msgspec.json.encode(Outcome(own[0], acted(resumed), moods)))


if __name__ == "__main__":
    _main()
