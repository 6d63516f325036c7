"""Settings from files: HUM_SECRETS_DIR is a directory with a file per variable, as container platforms mount secrets.

A value in a file is visible neither in a process's environment nor in the description of a container.
"""

from collections.abc import Mapping
from pathlib import Path

VARIABLE = "HUM_SECRETS_DIR"
MAX_BYTES = 64 << 10


class UnreadableSecret(Exception):  # noqa: N818
    """The directory can't be read; the message says why."""


def read_secrets(directory: str | Path | None) -> Mapping[str, str]:
    """Return the directory's values by variable; empty without a directory.  Raises UnreadableSecret."""
    if not directory:
        return {}
    try:
        files = [file for file in sorted(Path(directory).iterdir()) if file.name.isidentifier() and file.is_file()]
        return {file.name: _value(file) for file in files}
    except OSError as error:
        raise UnreadableSecret(f"{VARIABLE}: {error.filename}: {error.strerror}") from error


def _value(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnreadableSecret(f"{VARIABLE}: {file} is longer than {MAX_BYTES} bytes")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise UnreadableSecret(f"{VARIABLE}: {file} is not UTF-8") from None
