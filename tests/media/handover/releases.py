"""The next release: a copy of this plane whose classes differ in a field, and a call in it."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
#: By file the text of this release, and of the next one.
DIFFERENCES = {
    # A machine's field, which a new call begins with.
    "core/floor.py": (
        "        self._phase = FloorPhase.FREE\n",
        "        self._phase = FloorPhase.FREE\n        self._mood = 7\n",
    ),
    # A value's field, with its default.
    "core/heardposition.py": ("    sent: int = 0\n", '    sent: int = 0\n    mood: str = "new"\n'),
    # The place of a class.
    "core/idletimer.py": ("", ""),
}
