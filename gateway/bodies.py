"""Request bodies: limits on the size of one, of all from an address and of all together, and on the time of one."""

import asyncio
from collections import Counter

from starlette.requests import ClientDisconnect, Request

from gateway import credentials
from hum.contract.errors import RequestRefused


class BadBody(RequestRefused):
    """A refused body; `reason` is REST's, and the message is for the client."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ClientDisconnected(RequestRefused):
    """The client left before its body was complete."""

    code = reason = "CANCELLED"


class Bodies:
    """A reader of bodies of up to `max_bytes`, each within `seconds`.

    Incomplete bodies may occupy up to `max_bytes_together`; those of one address, `max_bytes_of_address`, if given.
    """

    def __init__(
        self, max_bytes: int, max_bytes_together: int, seconds: float, *, max_bytes_of_address: int | None = None
    ) -> None:
        self._max_bytes, self._max_bytes_together, self._seconds = max_bytes, max_bytes_together, seconds
        self._max_bytes_of_address = max_bytes_of_address or max_bytes_together
        self._reading: dict[str, dict[asyncio.Timeout, None]] = {}  # by address, oldest first
        self._buffered_bytes = 0
        self._buffered_bytes_of: Counter[str] = Counter()

    @property
    def max_bytes(self) -> int:
        """The size of the largest body, unless `read` is given another."""
        return self._max_bytes

    async def read(self, request: Request, max_bytes: int | None = None) -> bytes:
        """Read the body.  Raises BadBody, and ClientDisconnected, whose answer is only for the log."""
        max_bytes = max_bytes or self._max_bytes
        if int(request.headers.get("content-length") or 0) > max_bytes:
            raise BadBody("PAYLOAD_TOO_LARGE", f"The body is larger than {max_bytes} bytes.")
        address: str = request.scope[credentials.ADDRESS]
        parts, size_bytes = [], 0
        deadline = asyncio.timeout(self._seconds)
        self._reading.setdefault(address, {})[deadline] = None
        try:
            async with deadline:
                async for part in request.stream():
                    parts.append(part)
                    size_bytes += len(part)
                    self._count_bytes(address, len(part))
                    if size_bytes > max_bytes:
                        raise BadBody("PAYLOAD_TOO_LARGE", f"The body is larger than {max_bytes} bytes.")
                    self._require_capacity(address)
        except TimeoutError as error:
            if deadline not in self._reading.get(address, ()):
                raise BadBody("UNAVAILABLE", "Another request needed the place of this one; try again.") from error
            raise BadBody("REQUEST_TIMEOUT", f"The body did not arrive within {self._seconds:g} s.") from error
        except ClientDisconnect as error:
            raise ClientDisconnected from error
        finally:
            self._stop_reading(address, deadline)
            self._count_bytes(address, -size_bytes)
        return b"".join(parts)

    @property
    def most_of_an_address(self) -> int:
        """The number of incomplete bodies of the address with the most of them."""
        return max(map(len, self._reading.values()), default=0)

    def evict_one(self) -> bool:
        """Evict the oldest incomplete body of the address with the most of them; return False if there is none."""
        if not self._reading:
            return False
        address = max(self._reading, key=lambda candidate: len(self._reading[candidate]))
        deadline = next(iter(self._reading[address]))
        self._stop_reading(address, deadline)
        if not deadline.expired():
            deadline.reschedule(asyncio.get_running_loop().time())
        return True

    def _stop_reading(self, address: str, deadline: asyncio.Timeout) -> None:
        reading = self._reading.get(address, {})
        reading.pop(deadline, None)
        if not reading:
            self._reading.pop(address, None)

    def _count_bytes(self, address: str, size_bytes: int) -> None:
        self._buffered_bytes += size_bytes
        self._buffered_bytes_of[address] += size_bytes
        if not self._buffered_bytes_of[address]:
            del self._buffered_bytes_of[address]

    def _require_capacity(self, address: str) -> None:
        if self._buffered_bytes_of[address] > self._max_bytes_of_address:
            raise BadBody("RATE_LIMITED", "Too many request bodies are arriving from your address; try again.")
        if self._buffered_bytes > self._max_bytes_together:
            raise BadBody("UNAVAILABLE", "Too many request bodies are arriving; try again.")
