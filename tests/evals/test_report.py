"""The page of runs shows what was said as text, plays recordings of its own folder alone, and is bounded in size."""

import json
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from cli import evaluate
from evals import report
from evals.report import page
from evals.results import ResultFile, Run, audio_folder, read_runs
from evals.waveform import TwoSides
from sandbox.audio import two_channel_wav

CALLER, AGENT = b"\x00" * 8_000, b"\xff" * 8_000 + b"\x80" * 8_000
WAV = two_channel_wav(CALLER, AGENT)
TURNS = [
    {"role": "caller", "text": "A cleaning.", "start_ms": 0, "end_ms": 1_000},
    {"role": "agent", "text": "It costs ninety.", "heard": "It costs", "start_ms": 1_000, "end_ms": 2_000},
]


def run(verdict: Any = "failed", fingerprint: str = "f", **figures: Any) -> Run:
    return Run("books", fingerprint, 1, 1, verdict, [("tool", "book was not called")], {"transcript": TURNS, **figures})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runs.audio").mkdir()
    (tmp_path / "runs.audio" / "00001.wav").write_bytes(WAV)
    return tmp_path / "runs.audio"


def test_a_waveform_has_the_caller_above_and_the_agent_below() -> None:
    svg = TwoSides(WAV).svg(0, 2_000, 4)
    assert re.findall(r"M(\d+) (\d+)V(\d+)", svg) == [
        ("0", "0", "20"),
        ("1", "0", "20"),
        ("2", "20", "40"),
        ("3", "20", "40"),
    ]
    assert 'd="M0 20V20"' in TwoSides(WAV).svg(5_000, 6_000, 4), "beyond the end there is nothing"


@pytest.mark.parametrize("wav", [b"", b"RIFF", WAV[:30], WAV.replace(b"\x02\x00", b"\x01\x00", 1)])
def test_what_is_no_recording_is_left_out(folder: Path, wav: bytes) -> None:
    (folder / "00001.wav").write_bytes(wav)
    assert "<audio" not in page("runs", [run(audio="00001.wav")], folder)


def test_a_turn_is_heard_beside_its_waveform(folder: Path) -> None:
    html = page("runs", [run(audio="00001.wav", seconds=20.5, call_id="c")], folder)
    assert html.count("<audio") == 1
    assert 'src="data:audio/wav;base64,' in html
    assert re.findall(r'data-from="(\d+)" data-to="(\d+)"', html) == [("0", "1000"), ("1000", "2000")]
    assert html.count("<svg") == 3
    assert 'It costs <span class="lost" title="not heard"> ninety.</span>' in html
    assert "tool: book was not called" in html
    assert "seconds 20.5" in html


def test_what_was_said_is_text(folder: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'"
    turns = [{"role": evil, "text": evil, "heard": evil[:5]}, "no turn", {}]
    hostile = Run(
        evil, f"f {evil}", 1, 1, "failed", [(evil, evil)], {"transcript": turns, "state": {evil: evil}, evil: 1}
    )
    html = page(evil, [hostile], folder)
    assert "<img" not in html
    assert html.count("</script>") == 1


@pytest.mark.parametrize("name", ["../secret.wav", "/etc/passwd", "..", "a/b.wav", "x.txt", "\x00.wav", 7, None])
def test_a_file_of_results_leads_to_no_other_folder(folder: Path, name: Any) -> None:
    (folder.parent / "secret.wav").write_bytes(WAV)
    (folder / "x.txt").write_bytes(WAV)
    assert "<audio" not in page("runs", [run(audio=name)], folder)


def test_the_page_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_INLINE_BYTES", len(WAV) + 100)
    (folder / "00002.wav").write_bytes(WAV)
    html = page("runs", [run("passed", audio="00002.wav"), run(audio="00001.wav")], folder)
    assert html.count("data:audio") == 1
    assert 'src="runs.audio/00002.wav"' in html, "what did not pass is inside first"
    monkeypatch.setattr(report, "MOST_RUNS", 3)
    many = [run(transcript=[{"role": "agent", "text": "x" * 10_000}] * 500) for _ in range(13)]
    assert len(page("runs", many, folder)) < report.MOST_RUNS * report.MOST_TURNS * (report.MOST_CHARS + 100)
    assert "The 10 oldest runs are left out." in page("runs", many, folder)


def test_versions_stand_apart_and_rates_have_intervals(folder: Path) -> None:
    html = page("runs", [run("passed", "f before"), run("failed", "g after")], folder)
    assert re.findall(r"<h2>(.*?)</h2>", html) == ["books (before)", "books (after)"]
    assert "the true rate is 21% to 100% (95 %)" in html


def shown(file: Path, out: Path | None = None) -> int:
    return evaluate.show(Namespace(file=str(file), out=out and str(out)))


def test_the_command_reads_a_file_and_leaves_it_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs.jsonl"
    file = ResultFile(out)
    file.append(run(audio=file.keep_audio(WAV)))
    with out.open("a") as half:
        half.write('{"scenario": "bo')
    before = out.read_bytes()
    assert shown(out) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'runs.html'}: 1 runs\n"
    assert out.read_bytes() == before, "a run may go on"
    assert "data:audio/wav" in (tmp_path / "runs.html").read_text()
    assert (audio_folder(out) / "00001.wav").read_bytes() == WAV


def test_what_can_not_be_shown_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, empty = tmp_path / "runs.jsonl", tmp_path / "empty.jsonl"
    bad.write_text(json.dumps({"scenario": "a"}) + "\n")
    empty.write_text("")
    (tmp_path / "other").mkdir()
    for file, out, sentence in (
        (bad, None, "line 1 is no run of hum eval"),
        (tmp_path / "none.jsonl", None, "No such file"),
        (bad, bad, "would replace the runs"),
        (empty, tmp_path / "other" / "x.html", "beside"),
    ):
        assert shown(file, out) == 2
        assert sentence in capsys.readouterr().err
    assert bad.read_text() == json.dumps({"scenario": "a"}) + "\n"


def test_a_line_of_something_else_is_refused() -> None:
    for line in (b"[]", b"\xff", b'{"scenario": 1}', b"{}"):
        with pytest.raises(ValueError, match="line 1 is no run"):
            list(read_runs(line + b"\n"))
