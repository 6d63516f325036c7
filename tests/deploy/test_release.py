"""A release: the same bytes whoever builds it, a bill of materials, and a signature that holds for exactly these files."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import release

ROOT = Path(__file__).parents[2]


def signed(folder: Path) -> tuple[Path, Path]:
    """A release's folder that is signed, and whom to allow."""
    dist, key = folder / "dist", folder / "key"
    dist.mkdir()
    (dist / "hum-1-py3-none-any.whl").write_bytes(b"wheel")
    (dist / "hum-1.cdx.json").write_bytes(b"{}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "us@hum.example", "-f", key], check=True)
    release.sign(release.add_up(dist), key)
    allowed = folder / "allowed_signers"
    allowed.write_text(f"us@hum.example {key.with_suffix('.pub').read_text()}")
    return dist, allowed


def verifies(dist: Path, allowed: Path, namespace: str = release.NAMESPACE) -> bool:
    """What docs/deploy.md says to run."""
    options = ("-f", allowed, "-I", "us@hum.example", "-n", namespace, "-s", "SHA256SUMS.sig")
    with (dist / "SHA256SUMS").open("rb") as sums:
        done = subprocess.run(
            ["ssh-keygen", "-Y", "verify", *options], cwd=dist, stdin=sums, capture_output=True, check=False
        )
    summed = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=dist, check=False)
    return done.returncode == summed.returncode == 0


@pytest.mark.interop
def test_a_signature_holds_for_these_files_and_this_purpose(tmp_path: Path) -> None:
    dist, allowed = signed(tmp_path)
    assert verifies(dist, allowed)
    assert not verifies(dist, allowed, "another-purpose")
    (tmp_path / "other").mkdir()
    _, stranger = signed(tmp_path / "other")
    assert not verifies(dist, stranger), "another key"
    (dist / "hum-1-py3-none-any.whl").write_bytes(b"wheeL")
    assert not verifies(dist, allowed), "another wheel"
    release.add_up(dist)
    assert not verifies(dist, allowed), "its sum, too"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.whl").touch()
    command = [sys.executable, "deploy/release.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "is not empty" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["other.whl"]


@pytest.mark.interop
def test_the_bill_of_materials_is_the_lock(tmp_path: Path) -> None:
    assert (ROOT / ".venv-deploy/bin/cyclonedx-py").exists(), "`make .venv-deploy/.ready` makes it"
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    first, second = (release.list_parts(ROOT, folder, "1700000000").read_bytes() for folder in (one, two))
    assert first == second
    parts = json.loads(first)
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements/browser.txt").read_text(), flags=re.MULTILINE)
    found = {(each["name"], each["version"]) for each in parts["components"]}
    assert found == set(pins) and parts["bomFormat"] == "CycloneDX"
    assert parts["metadata"]["component"]["name"] == "hum"


@pytest.mark.interop
@pytest.mark.timeout(1200)
def test_two_builds_of_a_commit_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At other places, with other names in the environment and other permissions; npm's packages are taken once."""
    wheels: list[Path] = []
    for name, zone in (("here", "UTC"), ("somewhere/else", "Asia/Tokyo")):
        source, dist = tmp_path / name / "source", tmp_path / name / "dist"
        source.mkdir(parents=True)
        dist.mkdir()
        release.export("HEAD", source)
        if wheels:
            shutil.copytree(
                tmp_path / "here/source/console/node_modules", source / "console/node_modules", symlinks=True
            )
        monkeypatch.setenv("TZ", zone)
        wheels.append(release.build(source, dist, "1700000000"))
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
        assert "gateway/static/index.html" in names and "storage/migrations/0001_tenants.sql" in names
        assert not [each for each in names if each.endswith((".so", ".pyc"))]
        assert {each.date_time[0] for each in wheel.infolist()} == {2023}, "the commit's time, not the builder's"
