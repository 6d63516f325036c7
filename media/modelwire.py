"""The interface to a server's wire format; its adapters are in media/models/."""

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping

from media.core.modelmessages import ModelCommand, ModelEvent


# By its metaclass and not from ABC, as `Talk` is.
class ModelWire(metaclass=ABCMeta):
    """The wire of one session: it keeps nothing of the call, so that a socket can move to another process."""

    @abstractmethod
    def url(self, base_url: str) -> str:
        """Return the WebSocket URL of the API at `base_url` (http or https)."""

    @abstractmethod
    def headers(self, base_url: str, api_key: str) -> Mapping[str, str]:
        """Return the headers of the handshake with the API at `base_url`."""

    @property
    def is_cascade(self) -> bool:
        """Whether `hum voice` serves the model, and not its provider."""
        return False

    @abstractmethod
    def decode(self, payload: bytes) -> ModelEvent:
        """Decode one text frame from the server: MalformedEvent if it is no event, never an exception."""

    @abstractmethod
    def encode(self, command: ModelCommand) -> bytes:
        """Encode one command as a text frame."""
