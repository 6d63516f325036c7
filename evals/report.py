"""Runs as a page to read and to hear: one HTML file without scripts or styles of others.

What was said is data: every text is escaped.  A recording is inside the page while there is space for it, those of runs that did not
pass first, and beside it otherwise.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evals.results import Run
from evals.statistics import wilson
from evals.waveform import TwoSides

#: Of a page; more runs are left out, the oldest first.
MOST_RUNS, MOST_TURNS, MOST_CHARS = 300, 120, 1_000
MOST_INLINE_BYTES, MOST_WAV_BYTES = 24 << 20, 64 << 20
CALL_COLUMNS, TURN_COLUMNS = 600, 120
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}
h2{margin-top:2.5rem}details{border:1px solid #8886;border-radius:6px;margin:.6rem 0;padding:.4rem .8rem}
summary{cursor:pointer}.passed{color:#18794e}.failed{color:#c62a2f}.invalid,.error{color:#b5651d}
table{width:100%;border-collapse:collapse}td{vertical-align:middle;padding:.25rem .4rem;border-top:1px solid #8883}
td.wave{width:11rem}svg{width:100%;height:40px;display:block}path{stroke:#4a7bd0;stroke-width:1.2;fill:none}
audio{width:100%}button{font:inherit;cursor:pointer}.lost{opacity:.55;text-decoration:line-through}.quiet{opacity:.7}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
"""
_SCRIPT = """
let timer;
document.addEventListener("click", event => {
  const button = event.target.closest("button[data-from]");
  if (!button) return;
  const audio = button.closest("details").querySelector("audio");
  clearTimeout(timer);
  audio.currentTime = button.dataset.from / 1000;
  audio.play();
  timer = setTimeout(() => audio.pause(), button.dataset.to - button.dataset.from);
});
"""


def page(title: str, runs: Sequence[Run], folder: Path) -> str:
    """Return the page; `folder` has the recordings, and is beside it."""
    shown = runs[-MOST_RUNS:]
    inline = _inline(shown, folder)
    groups: dict[str, list[Run]] = {}
    for run in shown:
        groups.setdefault(_group(run), []).append(run)
    left_out = f"<p>The {len(runs) - len(shown)} oldest runs are left out.</p>" if len(shown) < len(runs) else ""
    sections = "".join(_section(name, group, folder, inline) for name, group in groups.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{left_out}{sections}<script>{_SCRIPT}</script></html>\n"
    )


def _group(run: Run) -> str:
    """Return the scenario, with the version of a comparison."""
    _, _, version = run.fingerprint.partition(" ")
    return f"{run.scenario} ({version})" if version else run.scenario


def _inline(runs: Iterable[Run], folder: Path) -> set[str]:
    """Return the recordings that go into the page."""
    chosen, left = set[str](), MOST_INLINE_BYTES
    for run in sorted(runs, key=lambda run: run.verdict == "passed"):
        name = audio_name(run)
        if name and (folder / name).is_file() and (size := (folder / name).stat().st_size) <= left:
            chosen.add(name)
            left -= size
    return chosen


def audio_name(run: Run) -> str:
    """Return the name of the run's recording, or "": a file of results leads to no other folder."""
    name = run.figures.get("audio", "")
    return name if isinstance(name, str) and Path(name).name == name and name.endswith(".wav") else ""


def _section(name: str, runs: Sequence[Run], folder: Path, inline: set[str]) -> str:
    counts = Counter(run.verdict for run in runs)
    judged = counts["passed"] + counts["failed"]
    low, high = wilson(counts["passed"], judged)
    verdicts = ", ".join(f'<span class="{verdict}">{count} {verdict}</span>' for verdict, count in counts.items())
    rate = f"; the true rate is {low:.0%} to {high:.0%} (95 %)" if judged else ""
    return f"<h2>{_text(name)}</h2><p>{verdicts}{rate}</p>" + "".join(_run(run, folder, inline) for run in runs)


def _run(run: Run, folder: Path, inline: set[str]) -> str:
    recording, source = _recording(run, folder, inline)
    player = f'<audio controls preload="none" src="{source}"></audio>' if source else ""
    whole = recording.svg(0, recording.ms, CALL_COLUMNS) if recording else ""
    reasons = "".join(f"<li>{_text(kind)}: {_text(sentence)}</li>" for kind, sentence in run.reasons)
    figures = ", ".join(
        f"{_text(key)} {_text(value)}" for key, value in run.figures.items() if isinstance(value, int | float)
    )
    state = run.figures.get("state")
    world = (
        f"<p>The world at the end:</p><pre>{_text(json.dumps(state, ensure_ascii=False, indent=1))}</pre>"
        if state
        else ""
    )
    opened = "" if run.verdict == "passed" else " open"
    return (
        f'<details{opened}><summary><b class="{run.verdict}">{run.verdict}</b> run {run.number}, seed {run.seed} '
        f'<span class="quiet">{figures}</span></summary>{f"<ul>{reasons}</ul>" if reasons else ""}'
        f"{whole}{player}<table>{_turns(run, recording)}</table>{world}</details>"
    )


def _recording(run: Run, folder: Path, inline: set[str]) -> tuple[TwoSides | None, str]:
    """Return a run's recording and its address for the page; None and "" if it has none."""
    name = audio_name(run)
    if not name or not (folder / name).is_file() or (folder / name).stat().st_size > MOST_WAV_BYTES:
        return None, ""
    wav = (folder / name).read_bytes()
    try:
        recording = TwoSides(wav)
    except ValueError:
        return None, ""
    if name in inline:
        return recording, f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"
    return recording, f"{quote(folder.name)}/{quote(name)}"


def _turns(run: Run, recording: TwoSides | None) -> str:
    turns = run.figures.get("transcript")
    shown = turns[:MOST_TURNS] if isinstance(turns, list) else []
    return "".join(_turn(turn, recording) for turn in shown if isinstance(turn, Mapping))


def _turn(turn: Mapping[str, Any], recording: TwoSides | None) -> str:
    text, heard = str(turn.get("text", "")), turn.get("heard")
    words = _text(text)
    if isinstance(heard, str) and heard != text:
        lost = text.removeprefix(heard)
        words = f'{_text(heard)} <span class="lost" title="not heard">{_text(lost)}</span>'
    play, drawn = "", ""
    start, end = turn.get("start_ms"), turn.get("end_ms")
    if recording and isinstance(start, int) and isinstance(end, int) and 0 <= start < end:
        play = f'<button data-from="{start}" data-to="{end}" title="hear this turn">▶ {start / 1000:.1f} s</button>'
        drawn = recording.svg(start, end, TURN_COLUMNS)
    return f'<tr><td>{_text(turn.get("role", ""))}<td>{play}<td class="wave">{drawn}<td>{words}</tr>'


def _text(value: Any) -> str:
    return escape(str(value)[:MOST_CHARS])
