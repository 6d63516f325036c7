"""The sentence that says that the call is recorded: nobody may talk it away, and that it was heard is proven."""

from dataclasses import dataclass

from media.core.inflight import Item

PROOF_MS = 1_000.0  # how long its last mark may be under way


@dataclass(slots=True)
class Announcement:
    protect: bool
    _item: Item | None = None  # from when it is queued until it is proven

    def queued(self, item: Item) -> None:
        self._item = item

    def is_of(self, item: Item) -> bool:
        return item is self._item

    def protected(self, speaking: Item | None, now_ms: float) -> bool:
        """Whether nobody may speak over the agent now: until its mark is back, since a clear in between would flush the
        proof.  `speaking` is what is being heard.
        """
        item = self._item
        if item is None or not self.protect:
            return False
        return speaking is item if speaking is not None and not item.finished else now_ms < item.ended_ms + PROOF_MS

    def proven_ms(self) -> float | None:
        """When it had been heard to its end, once that is known; told once."""
        item = self._item
        if item is None or not item.played:
            return None
        self._item = None
        return item.ended_ms
