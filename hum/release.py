"""Which release of HUM this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """The version of the package; empty where the sources were not installed as one."""
    try:
        return version("hum")
    except PackageNotFoundError:
        return ""
