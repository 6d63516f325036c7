"""The price tables of the package and of the operator."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from control.usage import pricetable
from control.usage.pricetable import BadPrices, Prices


@cache
def load(path: str) -> Prices:
    """Load the prices; `path`: the operator's table, or empty.  Raises BadPrices."""
    package = pricetable.read(files("control.usage").joinpath("prices.toml").read_text("utf-8"))
    if not path:
        return Prices(package)
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadPrices(f"can't be read: {error}") from error
    return Prices(package, pricetable.read(text))
