"""A release of the last commit: `python deploy/release.py dist [--key FILE]`.

A wheel that is identical wherever it is built, a list of its dependencies (CycloneDX), and their checksums, signed if there is a key.
docs/deploy.md describes how to verify them.
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
#: Namespace of the signature (`ssh-keygen -n`): a signature for another purpose does not verify as a release's.
NAMESPACE = "hum-release"
#: Mask for files in the wheel, whose modes would otherwise depend on the builder.
UMASK = 0o022


def run(*command: str | Path, cwd: Path, more: Mapping[str, str] | None = None) -> str:
    """Run a step and return its standard output; on failure exit with its output."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (more or {}), capture_output=True, text=True, check=False, umask=UMASK
    )
    if done.returncode != 0:
        raise SystemExit(f"{Path(command[0]).name} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def export(commit: str, to: Path) -> None:
    """Extract the files of a commit, without any others of the working tree."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        run("git", "archive", "--format=tar", f"--output={archive.name}", commit, cwd=ROOT)
        with tarfile.open(archive.name) as files:
            files.extractall(to, filter="tar")


def build(source: Path, dist: Path, epoch: str) -> Path:
    """Build the wheel of an exported commit, with the console and with the commit's time in every file; return its path."""
    more = {"SOURCE_DATE_EPOCH": epoch, "CONSOLE_NEEDED": "1", "PYTHONHASHSEED": "0", "PYTHONPATH": ""}
    run(sys.executable, "console/build.py", cwd=source, more=more)
    isolated = ("--no-deps", "--no-build-isolation", "--no-cache-dir", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *isolated, "--wheel-dir", dist, ".", cwd=source, more=more)
    (wheel,) = dist.glob("hum-*.whl")
    return wheel


def list_parts(source: Path, dist: Path, epoch: str) -> Path:
    """Write the bill of materials: all dependencies that the lock pins, those for browsers' calls included."""
    version = tomllib.loads((source / "pyproject.toml").read_text())["project"]["version"]
    parts = dist / f"hum-{version}.cdx.json"
    options = ("--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "--validate")
    program = ROOT / ".venv-deploy/bin/cyclonedx-py"
    more = {"SOURCE_DATE_EPOCH": epoch}
    run(program, "requirements", *options, "--output-file", parts, "requirements/browser.txt", cwd=source, more=more)
    return parts


def add_up(dist: Path) -> Path:
    """Write SHA256SUMS of everything in the folder, as `sha256sum --check` reads it; return its path."""
    sums = dist / "SHA256SUMS"
    files = sorted(file for file in dist.iterdir() if not file.name.startswith(sums.name))
    sums.write_text("".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files))
    return sums


def sign(sums: Path, key: Path) -> None:
    """Write `SHA256SUMS.sig`, without a network."""
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
