"""The text of an item of speech, tied to its audio: which words were heard."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class ItemText:
    """An item's text, each piece anchored to the amount of audio that had come before it."""

    text: str = ""
    # Bytes of audio and characters of text, both before a piece.
    _anchors: list[tuple[int, int]] = field(default_factory=list)

    def add(self, delta: str, offset: int) -> None:
        """Add a piece that belongs to the audio from this byte on, which is not before the last one's."""
        if not self._anchors or self._anchors[-1][0] < offset:
            self._anchors.append((offset, len(self.text)))
        self.text += delta

    def final(self, text: str) -> None:
        """Replace the text by the whole text, in case a delta was missed."""
        self.text = text or self.text

    def heard(self, heard: int, generated: int) -> str:
        """Return the text up to the word boundary at or before `heard` of `generated` bytes; accurate to about a word."""
        if heard >= generated:
            return self.text
        start, done, end, upto = 0, 0, generated, len(self.text)
        for audio, characters in self._anchors:
            if audio <= heard:
                start, done = audio, characters
            else:
                end, upto = audio, characters
                break
        position = done + (upto - done) * (heard - start) // max(1, end - start)
        return up_to_word(self.text, position)


def up_to_word(text: str, position: int) -> str:
    """Return `text` up to the last word boundary at or before `position`."""
    if position >= len(text) or text[position : position + 1].isspace():
        return text[:position].rstrip()
    cut = max(text.rfind(space, 0, position) for space in " \n\t")
    return text[: max(0, cut)].rstrip()
