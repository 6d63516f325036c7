"""The carrier's end of one Media Stream: applies the agent's messages, and writes the replies.

Pure: every method takes the stream's clock in ms.  Its user transports the messages, records the effects, and sends a
`mark` for each echo.
"""

from dataclasses import dataclass

from sandbox.twilio import wire
from sandbox.twilio.playout import CarrierPlayout, Echo, ReceivedClear


@dataclass(frozen=True, slots=True)
class AudioQueued:
    """The effect of agent audio that was queued."""

    size_bytes: int
    discarded_bytes: int
    begins: bool
    """Whether the queue was empty before it."""


Effect = AudioQueued | ReceivedClear | Echo


class MediaStream:
    def __init__(self, sid: str, *, call_sid: str, account_sid: str) -> None:
        self.sid = sid
        self.playout = CarrierPlayout()
        self.writer = wire.MessageWriter(account_sid, call_sid, sid)

    def opening(self, parameters: dict[str, str]) -> list[str]:
        return [wire.CONNECTED, self.writer.start(parameters)]

    def receive(self, now_ms: float, message: str | bytes) -> list[Effect]:
        """Apply one message of the agent's; return its effects in order.  Raises BadMessage without any effect."""
        match wire.read(message, self.sid):
            case wire.Media(payload):
                reached = self.playout.advance(now_ms)
                begins = self.playout.queued_bytes == 0
                discarded = self.playout.receive(now_ms, payload)
                return [*reached, AudioQueued(len(payload), discarded, begins)]
            case wire.Mark(name):
                return [*self.playout.mark(now_ms, name)]
            case wire.ClearQueue():
                return [*self.playout.clear(now_ms), self.playout.clears[-1]]
