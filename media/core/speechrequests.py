"""What a conversation asks its model to say; how that is asked for depends on who decides when the model speaks."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable

from media.core.plans import PromptKind


# By its metaclass and not from ABC, as `Talk` is.
class SpeechRequests(metaclass=ABCMeta):
    """The requests for speech of one call."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether the model gives no further responses; prompts are still said."""

    @property
    @abstractmethod
    def pending(self) -> bool:
        """Whether something is being said or is still to be said."""

    @property
    @abstractmethod
    def prompted(self) -> bool:
        """Whether prompts wait for the model to say them."""

    @property
    @abstractmethod
    def dictated(self) -> int:
        """The number of dictated texts that wait."""

    @abstractmethod
    def say(self, kind: PromptKind, text: str | None) -> None:
        """Have the model say a prompt, or another text in its place; an opening only once."""

    @abstractmethod
    def speak(self, kinds: Iterable[PromptKind]) -> None:
        """Queue prompts: once one of them needs the model, those after it wait behind it, as the order matters."""

    @abstractmethod
    def owe_response(self) -> None:
        """Have the model speak without waiting for the caller."""

    @abstractmethod
    def owe_answer(self) -> None:
        """Have the model speak on a tool's result, which it was given in its session."""

    @abstractmethod
    def continue_with(self, note: str) -> None:
        """Have the model continue what a fault cut off, or as the note says, without waiting for the caller."""

    @abstractmethod
    def close(self) -> None:
        """Ask for no further responses; prompts are still said."""

    @abstractmethod
    def clear(self) -> None:
        """Drop the prompts that wait."""
