"""JSON that PostgreSQL can store.  Pure."""

import json
import math
from contextlib import suppress
from typing import Any


def dumped(output: Any) -> str:
    """Encode an output as JSON for the model and the record.

    Values that PostgreSQL's JSON can't store are replaced: NUL, half of a surrogate pair, NaN and infinity.
    """
    # Raised for NaN and infinity, and for half a surrogate pair as UnicodeEncodeError.
    with suppress(ValueError):
        text = json.dumps(output, ensure_ascii=False, allow_nan=False)
        text.encode()
        if "\\u0000" not in text:
            return text
    return json.dumps(_storable(output), ensure_ascii=False, allow_nan=False)


def _storable(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode(errors="replace").decode()
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {_storable(name): _storable(member) for name, member in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case _:
            return value
