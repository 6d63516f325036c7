"""The operator's file of cascades (HUM_CASCADES)."""

from pathlib import Path

from hum import cascades
from hum.cascades import BadCascades, Cascades
from hum.refusal import refuse

MOST_FILE_BYTES = 1 << 20


def read(path: Path | None) -> Cascades:
    """Read the cascades; none if `path` is None.  Raises BadCascades, OSError."""
    if path is None:
        return {}
    with path.open("rb") as file:
        content = file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise BadCascades("it is larger than 1 MiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadCascades("it is not UTF-8") from None
    return cascades.parse(text)


def require(path: Path | None) -> Cascades:
    """Read the cascades; end the process with a message if the file can't be used."""
    try:
        return read(path)
    except (BadCascades, OSError) as error:
        refuse(f"HUM_CASCADES {path}: {error}")
