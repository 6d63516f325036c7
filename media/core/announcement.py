"""The announcement that the call is recorded: it cannot be interrupted, and a mark proves that it was heard."""

from dataclasses import dataclass
from typing import Final

from media.core.inflight import Item

#: How long the announcement's last mark may take to come back.
PROOF_MS: Final = 1_000.0


@dataclass(slots=True)
class Announcement:
    """The announcement of one call."""

    protect: bool
    # Set from when it is queued until it is proven.
    _item: Item | None = None

    def queued(self, item: Item) -> None:
        """Protect this item from now on."""
        self._item = item

    def protected(self, speaking: Item | None, now_ms: float) -> bool:
        """Return whether the agent must not be interrupted now; `speaking` is the item being heard.

        True until the announcement's mark is back, since a clear before that would flush the proof.
        """
        item = self._item
        if item is None or not self.protect:
            return False
        return speaking is item if speaking is not None and not item.finished else now_ms < item.ended_ms + PROOF_MS

    def proven_ms(self) -> float | None:
        """Return when the announcement was heard to its end, once that is proven, and only once; else None."""
        item = self._item
        if item is None or not item.played:
            return None
        self._item = None
        return item.ended_ms
