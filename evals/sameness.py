"""Whether what an agent did is what was wanted: values by their meaning, texts by patterns.  Pure, but for the limit of a match."""

import re
from collections.abc import Mapping
from typing import Any

from evals.matching import found

NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(a\.?m\.?|p\.?m\.?|o'?clock)?")
_HALF = re.compile(r"\bhalf past (\d{1,2})\b")


def same(wanted: Any, actual: Any) -> bool:
    """Tell whether an argument is the wanted value: texts by their words, a time as a time, a number as a number."""
    if isinstance(wanted, Mapping) and set(wanted) == {"matches"}:
        return isinstance(actual, str | int | float) and found(str(wanted["matches"]), str(actual))
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return all(name in actual and same(value, actual[name]) for name, value in wanted.items())
    if isinstance(wanted, bool) or isinstance(actual, bool) or wanted is None or actual is None:
        return wanted is actual
    if isinstance(wanted, list) and isinstance(actual, list):
        return len(wanted) == len(actual) and all(map(same, wanted, actual))
    if isinstance(wanted, Mapping | list) or isinstance(actual, Mapping | list):
        return False
    return spoken(str(wanted)) == spoken(str(actual))


def spoken(text: str) -> str:
    """Return the words in one form: `Nine thirty a.m.` as `9:30`, `$ 80.00` as `80`, `(317) 555-0199` as its digits."""
    plain = " ".join(
        NUMBERS.get(word, word) for word in re.findall(r"[\w:.+'’]+", text.lower().replace("thirty", ":30"))
    )
    plain = _HALF.sub(r"\1:30", plain.replace(" :30", ":30")).strip(".")
    if (time := _TIME.fullmatch(plain)) and (time[2] or time[3]):
        hour = int(time[1]) % 12 + 12 if (time[3] or "").startswith("p") else int(time[1])
        return f"{hour}:{time[2] or '00'}"
    plain = re.sub(r"(\d)\.0+\b|\.(?=\s|$)", r"\1", plain)
    digits = re.sub(r"\D", "", plain)
    return digits[-10:] if len(digits) >= 10 and not re.search(r"[a-z:]", plain) else plain
