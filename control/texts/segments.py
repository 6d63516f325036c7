"""How many segments a text is, as carriers bill them.  Pure.

GSM 03.38: septets of a basic alphabet, and of an extension table whose characters cost two; else UCS-2.  A text of several
segments loses six bytes of each to the header that joins them.
"""

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
GSM_ONE, GSM_EACH = 160, 153
UCS2_ONE, UCS2_EACH = 70, 67


def is_gsm(body: str) -> bool:
    """Whether each character is of the carriers' own alphabet; one that is not more than doubles the price of all."""
    return all(char in BASIC or char in EXTENSION for char in body)


def count(body: str) -> int:
    """The segments of a text; an empty one (with media) counts as one."""
    if is_gsm(body):
        return _split([2 if char in EXTENSION else 1 for char in body], GSM_ONE, GSM_EACH)
    return _split([2 if ord(char) > 0xFFFF else 1 for char in body], UCS2_ONE, UCS2_EACH)


def _split(costs: list[int], one: int, each: int) -> int:
    """What one character costs is never divided between two segments."""
    if sum(costs) <= one:
        return 1
    segments, left = 1, each
    for cost in costs:
        if cost > left:
            segments, left = segments + 1, each
        left -= cost
    return segments
