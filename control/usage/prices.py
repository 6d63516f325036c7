"""The price tables: the package's, and the operator's."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from control.usage import rules
from control.usage.rules import BadPrices, Prices


@cache
def load(path: str) -> Prices:
    """The prices; `path`: of the operator's table, empty: there is none.  Raises BadPrices."""
    package = rules.read(files("control.usage").joinpath("prices.toml").read_text("utf-8"))
    if not path:
        return Prices(package)
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadPrices(f"can't be read: {error}") from error
    return Prices(package, rules.read(text))
