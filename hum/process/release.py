"""The release of HUM."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version of the package; empty if the sources were not installed as one."""
    try:
        return version("hum")
    except PackageNotFoundError:
        return ""
