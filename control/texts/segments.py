"""The segments of a text, as carriers bill them.  Pure.

GSM 03.38: septets of a basic alphabet, and of an extension table whose characters cost two; else UCS-2.  Each segment of a
concatenated text loses six bytes to its header.
"""

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
GSM_ONE, GSM_EACH = 160, 153
UCS2_ONE, UCS2_EACH = 70, 67


def is_gsm(body: str) -> bool:
    """Return whether all characters are in the GSM alphabet; a single other one more than doubles the segments."""
    return all(char in BASIC or char in EXTENSION for char in body)


def count(body: str) -> int:
    """Count the segments of a text; an empty one (with media) is one."""
    if is_gsm(body):
        return _split([2 if char in EXTENSION else 1 for char in body], GSM_ONE, GSM_EACH)
    return _split([2 if ord(char) > 0xFFFF else 1 for char in body], UCS2_ONE, UCS2_EACH)


def _split(costs: list[int], single: int, concatenated: int) -> int:
    """Count the segments of characters with these costs; no character is divided between two segments."""
    if sum(costs) <= single:
        return 1
    segments, remaining = 1, concatenated
    for cost in costs:
        if cost > remaining:
            segments, remaining = segments + 1, concatenated
        remaining -= cost
    return segments
