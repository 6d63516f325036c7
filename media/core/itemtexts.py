"""Item texts: which items the model is generating, and their transcripts."""

from media.core.inflight import Item
from media.core.prompts import heard_text
from media.core.turns import Transcript
from media.core.types import PromptKind

_SPENT = Transcript()


class ItemTexts:
    """The item texts of one call."""

    __slots__ = ("_open", "_transcripts")

    def __init__(self) -> None:
        # Items that the model is still generating.
        self._open: dict[str, Item] = {}
        self._transcripts: dict[str, Transcript] = {}

    def begin(self, item_id: str, prompt: PromptKind | None) -> Item | None:
        """Begin an item of the model's, in place of a prompt of kind `prompt` if given; return None if it has begun before."""
        if item_id in self._transcripts:
            return None
        self._transcripts[item_id] = Transcript()
        item = self._open[item_id] = Item(item_id, prompt)
        return item

    def item(self, item_id: str) -> Item | None:
        """Return the item, if it is open.  More of any other item is ignored, since its response was cut."""
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
        """Ignore what else comes for this item: it was cut."""
        self._open.pop(item_id, None)

    @property
    def audible(self) -> bool:
        """Whether audio has come for an open item."""
        # A generator would be a third of the cost, on every tick.
        for item in self._open.values():  # noqa: SIM110
            if item.generated:
                return True
        return False

    def words(self, item: Item) -> tuple[str, str]:
        """Return an item's text so far, and the part of it that was heard.  For a prompt, its own text."""
        transcript = self._transcripts.get(item.id)
        if transcript is None:
            return item.text, heard_text(item.text, item.heard, item.generated)
        return transcript.text, transcript.heard(item.heard, item.generated)

    def take_words(self, item: Item) -> tuple[str, str]:
        """Return the same as `words`, once; the transcript is dropped."""
        words = self.words(item)
        if item.id in self._transcripts:
            # The id stays known; a long call must not keep all transcripts.
            self._transcripts[item.id] = _SPENT
        return words
