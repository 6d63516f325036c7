"""The file of plans: the packaged one, or the operator's."""

from importlib.resources import files
from pathlib import Path

from hum.plans import Plans, parse
from hum.refusal import refuse

MOST_FILE_BYTES = 1 << 20


def packaged_plans() -> Plans:
    return parse((files("hum") / "plans.json").read_text())


def read(path: Path | None) -> Plans:
    """Read the plans from the operator's file, or from the packaged one if `path` is None.

    Raises ValueError, OSError.
    """
    if path is None:
        return packaged_plans()
    with path.open("rb") as file:
        content = file.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise ValueError("it is larger than 1 MiB")
    return parse(content.decode())


def require(path: Path | None) -> Plans:
    """Read the plans; end the process with a message if the file can't be used."""
    try:
        return read(path)
    except (ValueError, OSError) as error:
        refuse(f"HUM_PLANS_FILE {path}: {error}")
