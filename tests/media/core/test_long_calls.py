"""A long call keeps only the words of what is over, for a session that must be told them."""

import gc
import sys
import types
from typing import Any

from tests.media.core.plans import PLAN
from tests.support.simulation import Phone, World

NOT_OURS = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)


def held_bytes(root: Any) -> int:
    """The memory that an object holds: its own and that of everything reachable from it."""
    seen: set[int] = set()
    left, total = [root], 0
    while left:
        each = left.pop()
        if id(each) not in seen and not isinstance(each, NOT_OURS):
            seen.add(id(each))
            total += sys.getsizeof(each)
            left += gc.get_referents(each)
    return total


def test_a_conversation_grows_by_its_words_alone() -> None:
    phone = Phone(World(), PLAN)
    phone.after(2_000)
    sizes = []
    for _ in range(3):  # minutes, of eight turns each
        for _ in range(8):
            phone.speak(1_200)
            phone.after(7_500)
        sizes.append(held_bytes(phone.talk))
    words = sum(len(text) for _, text in phone.talk._voice.transcript._spoken)
    assert words > 500, "the call was full of talk"
    assert (sizes[-1] - sizes[0]) / 2 < 6_000, sizes
