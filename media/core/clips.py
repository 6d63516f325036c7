"""Prompts, played through the ledger as items of their own; prompts without audio are spoken by the model."""

from dataclasses import dataclass

from media.core.inflight import Item, Sound
from media.core.tones import dialled
from media.core.turns import up_to_word
from media.core.types import CallPlan, Clip, ClipKind


@dataclass(slots=True)
class Clips:
    """The prompts of one call."""

    plan: CallPlan
    idle_prompt: int = 0  # index of the next idle prompt
    _played: int = 0
    _filled: int = 0

    def opening(self) -> list[ClipKind]:
        """Return what the caller hears first, in order."""
        announce = [ClipKind.ANNOUNCEMENT] if self.plan.announce_recording else []
        first = ClipKind.RESUMED if self.plan.so_far else ClipKind.GREETING
        return [kind for kind in (*announce, first) if kind in self.plan.clips]

    def item(self, kind: ClipKind) -> Item | None:
        """Return the prompt as an item of the ledger; None if it has not been rendered."""
        clip = self._clip(kind)
        if clip is None or not clip.audio:
            return None
        return self._item(kind, clip)

    def filler(self) -> Item:
        """Return the next filler.  The plan must have at least one."""
        fillers = self.plan.fillers
        self._filled += 1
        return self._item(ClipKind.FILLER, fillers[(self._filled - 1) % len(fillers)])

    def tones(self, digits: str) -> Item:
        """Return an item of keys to be pressed."""
        return self._item(ClipKind.TONES, Clip(f"[keys {digits}]", dialled(digits)))

    def text(self, kind: ClipKind) -> str | None:
        clip = self._clip(kind)
        return None if clip is None else clip.text

    def _clip(self, kind: ClipKind) -> Clip | None:
        if kind is ClipKind.IDLE and self.idle_prompt < len(self.plan.idle_clips):
            return self.plan.idle_clips[self.idle_prompt]
        return self.plan.clips.get(kind)

    def _item(self, kind: ClipKind, clip: Clip) -> Item:
        self._played += 1
        audio = Sound(clip.audio or b"")
        return Item(f"clip_{self._played}", kind, of_model=False, text=clip.text, audio=audio, complete=True)


def heard_text(text: str, heard: int, generated: int) -> str:
    """Return the words of a prompt up to the word boundary at or before the last byte that was heard."""
    if heard >= generated:
        return text
    return up_to_word(text, len(text) * heard // generated)


#: Instructions to the model for a prompt without a text.
IN_YOUR_WORDS = {
    ClipKind.MACHINE: "An answering machine has answered, and its tone has sounded: leave a message now. Say in at most three short "
    "sentences who is calling and why, and how to call back if you know it. Ask nothing, and say nothing else.",
}


def instruction(kind: ClipKind, text: str | None) -> str:
    """Return instructions for the model to speak a prompt that has no audio."""
    if text is None and kind in IN_YOUR_WORDS:
        return IN_YOUR_WORDS[kind]
    return f"Say exactly the following to the caller, word for word, and nothing else:\n{text}"
