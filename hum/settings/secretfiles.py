"""Settings from files: HUM_SECRETS_DIR names a directory with a file for each variable, as container platforms mount secrets.

A value in a file stands in no process's environment, and in no description of a container.
"""

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "HUM_SECRETS_DIR"
MAX_BYTES = 64 << 10


class Unreadable(Exception):  # noqa: N818
    """The directory can't be read; the message says why."""


def stored(directory: str | Path | None) -> Mapping[str, str]:
    """What the directory has, by variable; nothing if there is none.  Raises Unreadable."""
    if not directory:
        return {}
    try:
        files = [each for each in sorted(Path(directory).iterdir()) if each.name.isidentifier() and each.is_file()]
        return {each.name: _value(each) for each in files}
    except OSError as error:
        raise Unreadable(f"{VARIABLE}: {error.filename}: {error.strerror}") from error


def _value(file: Path) -> str:
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise Unreadable(f"{VARIABLE}: {file} is longer than {MAX_BYTES} bytes")
    try:
        return content.decode().strip()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{VARIABLE}: {file} is not UTF-8") from error
