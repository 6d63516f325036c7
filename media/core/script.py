"""The items that the model makes, as it makes them: their audio's end, and their words."""

from media.core.clips import heard_text
from media.core.inflight import Item
from media.core.turns import Transcript
from media.core.types import ClipKind

_SPENT = Transcript()


class Script:
    __slots__ = ("_open", "_transcripts")

    def __init__(self) -> None:
        self._open: dict[str, Item] = {}  # the model is still making these
        self._transcripts: dict[str, Transcript] = {}

    def begin(self, item_id: str, clip: ClipKind | None) -> Item | None:
        """The model begins an item, in place of `clip` if that is named; None if it has begun it before."""
        if item_id in self._transcripts:
            return None
        self._transcripts[item_id] = Transcript()
        item = self._open[item_id] = Item(item_id, clip)
        return item

    def item(self, item_id: str) -> Item | None:
        """One that is open; of any other more is ignored, since its answer was cut."""
        return self._open.get(item_id)

    def add_text(self, item_id: str, delta: str) -> None:
        item = self._open.get(item_id)
        if item is not None:
            self._transcripts[item_id].add(delta, item.generated)

    def final_text(self, item_id: str, text: str) -> None:
        if item_id in self._open:
            self._transcripts[item_id].final(text)

    def close(self, item_id: str) -> None:
        item = self._open.pop(item_id, None)
        if item is not None:
            item.complete = True

    def close_all(self) -> None:
        for item_id in list(self._open):
            self.close(item_id)

    def drop(self, item_id: str) -> None:
        """It was cut: what still comes of it is ignored."""
        self._open.pop(item_id, None)

    @property
    def audible(self) -> bool:
        """Whether audio has come of what the model is saying."""
        for item in self._open.values():  # noqa: SIM110 - asked with every tick, and a generator is a third of this
            if item.audio:
                return True
        return False

    def spend(self, item: Item) -> tuple[str, str]:
        """An item's words, and those of them that were heard; told once.  Of a clip, its own."""
        transcript = self._transcripts.get(item.id)
        if transcript is None:
            return item.text, heard_text(item.text, item.heard, item.generated)
        self._transcripts[item.id] = _SPENT  # its id stays known; a long call must not keep where each word lay
        return transcript.text, transcript.heard(item.heard, item.generated)
