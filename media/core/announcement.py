"""The announcement that the call is recorded: it cannot be interrupted, and a mark proves that it was heard."""

from dataclasses import dataclass
from typing import Final

from media.core.inflight import Item

PROOF_MS: Final = 1_000.0  # how long its last mark may take to come back


@dataclass(slots=True)
class Announcement:
    protect: bool
    _item: Item | None = None  # set from when it is queued until it is proven

    def queued(self, item: Item) -> None:
        self._item = item

    def protected(self, speaking: Item | None, now_ms: float) -> bool:
        """Whether the agent must not be interrupted now.  True until the announcement's mark is back, since a clear
        before that would flush the proof.  `speaking` is the item being heard.
        """
        item = self._item
        if item is None or not self.protect:
            return False
        return speaking is item if speaking is not None and not item.finished else now_ms < item.ended_ms + PROOF_MS

    def proven_ms(self) -> float | None:
        """When it was heard to its end, once that is known; returned once."""
        item = self._item
        if item is None or not item.played:
            return None
        self._item = None
        return item.ended_ms
