"""The fusion of rankings of passages.  Pure."""

from collections.abc import Sequence
from typing import TypeVar

#: The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009).
FUSION = 60
#: Passages that each ranking contributes.
CANDIDATES = 50
_PlaceT = TypeVar("_PlaceT")


def fused(orders: Sequence[Sequence[_PlaceT]]) -> list[_PlaceT]:
    """Fuse rankings by reciprocal rank: places that rank high in several come first."""
    scores = dict[_PlaceT, float]()
    for order in orders:
        for rank, place in enumerate(order, 1):
            scores[place] = scores.get(place, 0.0) + 1 / (FUSION + rank)
    return sorted(scores, key=lambda place: -scores[place])
