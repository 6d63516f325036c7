"""The caller's voice whose words never came: of turns whose transcription has failed, or which it has not reached by the end of the call."""

from media.core.audio import FRAME_MS


class Untranscribed:
    """The voice of one call's turns, each until its transcript comes."""

    __slots__ = ("_turn_id", "_voiced_ms")

    def __init__(self) -> None:
        self._turn_id = ""  # of the latest turn
        self._voiced_ms: dict[str, int] = {}

    @property
    def ms(self) -> int:
        """How much voice is without a transcript."""
        return sum(self._voiced_ms.values())

    def turn_began(self, turn_id: str) -> None:
        self._turn_id = turn_id

    def voiced(self) -> None:
        """Count a frame of the caller's voice to the turn that they speak."""
        self._voiced_ms[self._turn_id] = self._voiced_ms.get(self._turn_id, 0) + FRAME_MS

    def transcribed(self, turn_id: str) -> None:
        """Forget the voice of a turn whose transcript came, with words or without."""
        self._voiced_ms.pop(turn_id, None)
