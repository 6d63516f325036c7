"""Makes a release of the last commit: `python deploy/release.py dist [--key FILE]`.

A wheel that is the same whoever builds it, a list of what it depends on (CycloneDX), and their sums, signed if there is a key.
docs/deploy.md says how they are verified.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What a signature is for (`ssh-keygen -n`): one for another purpose does not pass as a release's.
NAMESPACE = "hum-release"
#: Of files in the wheel: modes are the builder's own, if it is not set.
UMASK = 0o022


def run(*command: str | Path, cwd: Path, more: Mapping[str, str] | None = None) -> str:
    """What a step prints; a failed one ends the release with what it said."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (more or {}), capture_output=True, text=True, check=False, umask=UMASK
    )
    if done.returncode != 0:
        raise SystemExit(f"{Path(command[0]).name} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def export(commit: str, to: Path) -> None:
    """The files of a commit, and nothing that lies beside them."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        run("git", "archive", "--format=tar", f"--output={archive.name}", commit, cwd=ROOT)
        with tarfile.open(archive.name) as files:
            files.extractall(to, filter="tar")


def build(source: Path, dist: Path, epoch: str) -> Path:
    """The wheel of an exported commit, with the console; every time in it is the commit's."""
    more = {"SOURCE_DATE_EPOCH": epoch, "CONSOLE_NEEDED": "1", "PYTHONHASHSEED": "0", "PYTHONPATH": ""}
    run(sys.executable, "console/build.py", cwd=source, more=more)
    isolated = ("--no-deps", "--no-build-isolation", "--no-cache-dir", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *isolated, "--wheel-dir", dist, ".", cwd=source, more=more)
    (wheel,) = dist.glob("hum-*.whl")
    return wheel


def list_parts(source: Path, dist: Path, epoch: str) -> Path:
    """The bill of materials: all that the lock pins for running HUM, browsers' calls with it."""
    version = tomllib.loads((source / "pyproject.toml").read_text())["project"]["version"]
    parts = dist / f"hum-{version}.cdx.json"
    options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "--validate")
    program = ROOT / ".venv-deploy/bin/cyclonedx-py"
    more = {"SOURCE_DATE_EPOCH": epoch}
    run(program, "requirements", *options, "--output-file", parts, "requirements/browser.txt", cwd=source, more=more)
    return parts


def add_up(dist: Path) -> Path:
    """SHA256SUMS of everything in the folder, as `sha256sum --check` reads it."""
    sums = dist / "SHA256SUMS"
    files = sorted(each for each in dist.iterdir() if not each.name.startswith(sums.name))
    sums.write_text("".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in files))
    return sums


def sign(sums: Path, key: Path) -> None:
    """`SHA256SUMS.sig`, made without a network."""
    run("ssh-keygen", "-Y", "sign", "-q", "-f", key.resolve(), "-n", NAMESPACE, sums.name, cwd=sums.parent)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a release of the last commit.")
    parser.add_argument("dist", type=Path, help="an empty folder, or one that does not exist")
    parser.add_argument("--key", type=Path, help="private key that signs it; none: it is not signed")
    parser.add_argument("--commit", default="HEAD")
    arguments = parser.parse_args()
    dist: Path = arguments.dist.resolve()
    dist.mkdir(parents=True, exist_ok=True)
    if any(dist.iterdir()):
        raise SystemExit(f"{dist} is not empty; a release goes into a folder of its own")
    epoch = run("git", "log", "-1", "--format=%ct", arguments.commit, cwd=ROOT).strip()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        export(arguments.commit, source)
        build(source, dist, epoch)
        list_parts(source, dist, epoch)
    sums = add_up(dist)
    if arguments.key is not None:
        sign(sums, arguments.key)
    sys.stdout.write(sums.read_text())


if __name__ == "__main__":
    main()
