"""Prompts, played through the ledger as items of their own; prompts without audio are spoken by the model."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from media.core.heardposition import Item, ItemAudio
from media.core.itemtexts import up_to_word
from media.core.keytones import dialled
from media.core.plans import CallPlan, Prompt, PromptKind

#: What the caller must have heard, in this order.
OPENINGS: Final = (PromptKind.ANNOUNCEMENT, PromptKind.RESUMED, PromptKind.GREETING)
#: Attempts to say an opening from its beginning; the last one can't be interrupted.
OPENING_ATTEMPTS: Final = 3


@dataclass(slots=True)
class Prompts:
    """The prompts of one call."""

    plan: CallPlan
    idle_prompt: int = 0  # index of the next idle prompt
    _played: int = 0
    _filled: int = 0
    _attempts: int = 0  # to say the opening

    def opening(self) -> list[PromptKind]:
        """Return what the caller hears first, in order."""
        self._attempts = 1
        announce = [PromptKind.ANNOUNCEMENT] if self.plan.recording.announce_recording else []
        first = PromptKind.RESUMED if self.plan.history else PromptKind.GREETING
        return [kind for kind in (*announce, first) if kind in self.plan.prompts]

    def reopening(self, unsaid: Collection[PromptKind | None]) -> list[PromptKind]:
        """Return which of these prompts, of which nothing was said, open the call and are said again, in order."""
        kinds = [kind for kind in OPENINGS if kind in unsaid]
        self._attempts += bool(kinds)
        return kinds if self._attempts <= OPENING_ATTEMPTS else []

    @property
    def is_last_attempt(self) -> bool:
        """Whether the opening can't be interrupted any more: its earlier attempts all were."""
        return self._attempts >= OPENING_ATTEMPTS

    def item(self, kind: PromptKind) -> Item | None:
        """Return the prompt as an item of the ledger; None if it has not been rendered."""
        prompt = self._prompt(kind)
        if prompt is None or not prompt.audio:
            return None
        return self._item(kind, prompt)

    def filler(self) -> Item:
        """Return the next filler.  The plan must have at least one."""
        fillers = self.plan.silences.fillers
        self._filled += 1
        return self._item(PromptKind.FILLER, fillers[(self._filled - 1) % len(fillers)])

    def tones(self, digits: str) -> Item:
        """Return an item of keys to be pressed."""
        return self._item(PromptKind.TONES, Prompt(f"[keys {digits}]", dialled(digits)))

    def text(self, kind: PromptKind) -> str | None:
        prompt = self._prompt(kind)
        return None if prompt is None else prompt.text

    def _prompt(self, kind: PromptKind) -> Prompt | None:
        if kind is PromptKind.IDLE:
            idle_prompts = self.plan.silences.idle_prompts
            return idle_prompts[self.idle_prompt] if self.idle_prompt < len(idle_prompts) else None
        return self.plan.prompts.get(kind)

    def _item(self, kind: PromptKind, prompt: Prompt) -> Item:
        self._played += 1
        audio = ItemAudio(prompt.audio or b"")
        return Item(f"clip_{self._played}", kind, of_model=False, text=prompt.text, audio=audio, complete=True)


def heard_text(text: str, heard: int, generated: int) -> str:
    """Return the words of a prompt up to the word boundary at or before the last byte that was heard."""
    if heard >= generated:
        return text
    return up_to_word(text, len(text) * heard // generated)


#: Instructions to the model for a prompt without a text.
IN_YOUR_WORDS = {
    PromptKind.MACHINE: "An answering machine has answered, and its tone has sounded: leave a message now. Say in at most three short "
    "sentences who is calling and why, and how to call back if you know it. Ask nothing, and say nothing else.",
}


def instruction(kind: PromptKind, text: str | None) -> str:
    """Return instructions for the model to speak a prompt that has no audio."""
    if text is None and kind in IN_YOUR_WORDS:
        return IN_YOUR_WORDS[kind]
    return f"Say exactly the following to the caller, word for word, and nothing else:\n{text}"
