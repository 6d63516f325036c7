"""One call's connection to the model: its socket, or the attempt to open one."""

import asyncio
from random import uniform
from typing import Protocol

from hum.observe.logs import log
from media.core.modelmessages import CallModel
from media.core.modelside import REFUSED
from media.io.modelsocket import Dial, ModelListener, ModelSocket, SessionRefused, Unreachable
from media.models.wires import wire_of

LOG = log(__name__)


class ConnectionOwner(ModelListener, Protocol):
    """The call that owns the connection."""

    @property
    def call_id(self) -> str: ...

    def model_ready(self) -> None:
        """Handle an open socket."""

    def model_lost(self, reason: str) -> None:
        """Handle a failed attempt."""

    def task_done(self, task: asyncio.Task[None]) -> None:
        """Handle the end of an attempt, whatever its outcome."""


class ModelConnection:
    """The model's socket of one call, or the attempt to open it."""

    def __init__(self, dial: Dial, owner: ConnectionOwner) -> None:
        self.socket: ModelSocket | None = None
        self._dial, self._owner = dial, owner
        self._attempt: asyncio.Task[None] | None = None

    def dial(self, wait_ms: float, model: CallModel) -> None:
        """Replace the socket with a new one, after about `wait_ms`.

        The wait has jitter: it spreads the attempts of calls that lost their sockets at the same moment.
        """
        self.drop()
        self._attempt = asyncio.create_task(self._open(uniform(0.5, 1.0) * wait_ms, model), name="dial")
        self._attempt.add_done_callback(self._owner.task_done)

    async def _open(self, wait_ms: float, model: CallModel) -> None:
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        try:
            socket = await self._dial(wire_of(model), self._owner)
        except SessionRefused as error:
            LOG.warning("model refused the connection", call=self._owner.call_id, error=str(error))
            self._owner.model_lost(REFUSED)
        except Unreachable as error:
            self._owner.model_lost(f"unreachable {error}")
        else:
            self.socket = socket
            self._owner.model_ready()
            socket.listen()

    @property
    def dialling(self) -> bool:
        """Whether an attempt is in progress."""
        return self._attempt is not None and not self._attempt.done()

    def detach(self) -> None:
        """Drop this process's copy of the socket: it was handed over to another process."""
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.detach()

    def drop(self) -> None:
        """Close the socket, and cancel an attempt in progress."""
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.drop()
        attempt, self._attempt = self._attempt, None
        if attempt is not None and attempt is not asyncio.current_task():
            attempt.cancel()
