"""The stylesheet of the pages that the gateway writes itself."""

import re
from pathlib import Path

STYLE = Path("gateway/templates/style.css").read_text(encoding="utf-8")
PAPERS = {"canvas", "surface", "sunken"}
TOKEN = re.compile(r"(--(?:color|font|radius)-[\w-]+): ([^;]+);")


def test_colours_can_be_told_from_the_paper() -> None:
    """Contrast as WCAG 2 counts it (w3.org/TR/WCAG22, "relative luminance"), in the light and in the dark."""
    schemes = re.findall(r"--color-([\w-]+): light-dark\(#(\w+), #(\w+)\);", STYLE)
    for at in (1, 2):
        colours = {each[0]: each[at] for each in schemes}
        for paper in PAPERS:
            for ink in colours.keys() - PAPERS - {"line", "line-strong"}:
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper, at)


def test_the_pages_wear_what_the_console_does() -> None:
    """Their tokens have the same names and values: whoever changes one changes the other."""
    theirs = dict(TOKEN.findall(Path("console/src/styles.css").read_text(encoding="utf-8")))
    ours = dict(TOKEN.findall(STYLE))
    assert len(ours) >= 12 and ours.items() <= theirs.items()
    assert not re.search(r"#[0-9a-f]{3,6}\b", STYLE.split("}", 1)[1]), "colours have names"


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    long = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(long[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
