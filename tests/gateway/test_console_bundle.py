"""What the built console costs a browser, and that a wheel has it.  `make check-browser` builds it first."""

import gzip
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.console import STATIC
from gateway.guides.site import ENTRY as GUIDES_ENTRY
from gateway.reference import ENTRY

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
#: Of scripts, packed by gzip: for the frame, and for the frame and any one page.
SHELL_BYTES, PAGE_BYTES = 120_000, 190_000
PAGE = re.compile(r"src/pages/[\w/-]+\.tsx")
#: What a page loads by itself, besides its own: the recording's player on a call's page.
BESIDE = {"src/pages/calls/call/player.tsx": "src/pages/calls/call/page.tsx"}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((STATIC / "manifest.json").read_text())
    return read


def chunks(manifest: dict[str, Any], name: str) -> Iterator[str]:
    """The files that a chunk needs before it runs, its own included."""
    seen, waiting = set[str](), [name]
    while waiting:
        if (each := waiting.pop()) not in seen:
            seen.add(each)
            waiting += manifest[each].get("imports", [])
    return (manifest[each]["file"] for each in seen)


def packed_bytes(files: set[str]) -> int:
    return sum(len(gzip.compress((STATIC / file).read_bytes(), 9)) for file in files if file.endswith(".js"))


def test_the_frame_and_every_page_stay_small(manifest: dict[str, Any]) -> None:
    (entry,) = (name for name, each in manifest.items() if each.get("isEntry") and name == "index.html")
    frame = set(chunks(manifest, entry)) | {manifest["src/i18n/en/shell.ts"]["file"]}
    assert packed_bytes(frame) <= SHELL_BYTES
    pages = {
        name: set(chunks(manifest, name))
        for name in manifest
        if PAGE.fullmatch(name) and manifest[name].get("isDynamicEntry")
    }
    assert len(pages) > 20
    for part, page in BESIDE.items():
        pages[part] |= pages[page]
    sizes = {name: packed_bytes(frame | files) for name, files in pages.items()}
    assert {name: size for name, size in sizes.items() if size > PAGE_BYTES} == {}


def test_what_is_seldom_needed_is_no_part_of_the_frame(manifest: dict[str, Any]) -> None:
    (entry,) = (name for name, each in manifest.items() if each.get("isEntry") and name == "index.html")
    text = "".join((STATIC / file).read_text() for file in chunks(manifest, entry))
    for part in ("codemirror", "WaveSurfer", "uPlot", "FloatingPortal"):
        assert part not in text, part


def test_the_reference_shares_nothing_with_the_console(manifest: dict[str, Any]) -> None:
    entry = manifest[ENTRY]
    assert entry["isEntry"] and "imports" not in entry and "css" not in entry


def test_the_guides_share_nothing_with_the_console(manifest: dict[str, Any]) -> None:
    entry = manifest[GUIDES_ENTRY]
    assert entry["isEntry"] and "imports" not in entry and packed_bytes({entry["file"]}) < 1000


def test_a_wheel_has_the_console_and_the_guides(tmp_path: Path) -> None:
    command = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    )
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("hum-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    built = {f"gateway/static/{path.relative_to(STATIC).as_posix()}" for path in STATIC.rglob("*") if path.is_file()}
    assert "gateway/static/index.html" in built and built <= names
