"""Request bodies: limits on the size of each, on those of an address and of all together, and on the time each may take."""

import asyncio
from collections import Counter

from starlette.requests import Request

from gateway import credentials


class BadBody(Exception):  # noqa: N818 - a refusal is no fault of ours
    """A body that is refused; `reason` is REST's, and the message is for the client."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Bodies:
    """Reads bodies of up to `most_bytes`, each within `seconds`.

    Incomplete ones hold up to `most_bytes_together`; those of one address up to `most_bytes_of_address`, if it is given.
    """

    def __init__(
        self, most_bytes: int, most_bytes_together: int, seconds: float, *, most_bytes_of_address: int | None = None
    ) -> None:
        self._most_bytes, self._together_bytes, self._seconds = most_bytes, most_bytes_together, seconds
        self._of_address_bytes = most_bytes_of_address or most_bytes_together
        self._reading: dict[str, dict[asyncio.Timeout, None]] = {}  # by address, the longest first
        self._held_bytes = 0
        self._held_bytes_of: Counter[str] = Counter()

    @property
    def most_bytes(self) -> int:
        """The size of the largest body, unless a reader allows another."""
        return self._most_bytes

    async def read(self, request: Request, most_bytes: int | None = None) -> bytes:
        """The body.  Raises BadBody, and starlette's ClientDisconnect."""
        most_bytes = most_bytes or self._most_bytes
        if int(request.headers.get("content-length") or 0) > most_bytes:
            raise BadBody("PAYLOAD_TOO_LARGE", f"The body is larger than {most_bytes} bytes.")
        address: str = request.scope[credentials.ADDRESS]
        parts, size_bytes = [], 0
        deadline = asyncio.timeout(self._seconds)
        self._reading.setdefault(address, {})[deadline] = None
        try:
            async with deadline:
                async for part in request.stream():
                    parts.append(part)
                    size_bytes += len(part)
                    self._hold(address, len(part))
                    if size_bytes > most_bytes:
                        raise BadBody("PAYLOAD_TOO_LARGE", f"The body is larger than {most_bytes} bytes.")
                    self._require_room(address)
        except TimeoutError as error:
            if deadline not in self._reading.get(address, ()):
                raise BadBody("UNAVAILABLE", "Another request needed the place of this one; try again.") from error
            raise BadBody("REQUEST_TIMEOUT", f"The body did not arrive within {self._seconds:g} s.") from error
        finally:
            self._forget(address, deadline)
            self._hold(address, -size_bytes)
        return b"".join(parts)

    def give_way(self) -> bool:
        """Give up the incomplete body that has been coming longest, of the address with most of them; False if there is none."""
        if not self._reading:
            return False
        address = max(self._reading, key=lambda each: len(self._reading[each]))
        deadline = next(iter(self._reading[address]))
        self._forget(address, deadline)
        if not deadline.expired():
            deadline.reschedule(asyncio.get_running_loop().time())
        return True

    def _forget(self, address: str, deadline: asyncio.Timeout) -> None:
        reading = self._reading.get(address, {})
        reading.pop(deadline, None)
        if not reading:
            self._reading.pop(address, None)

    def _hold(self, address: str, size_bytes: int) -> None:
        self._held_bytes += size_bytes
        self._held_bytes_of[address] += size_bytes
        if not self._held_bytes_of[address]:
            del self._held_bytes_of[address]

    def _require_room(self, address: str) -> None:
        if self._held_bytes_of[address] > self._of_address_bytes:
            raise BadBody("RATE_LIMITED", "Too many request bodies are arriving from your address; try again.")
        if self._held_bytes > self._together_bytes:
            raise BadBody("UNAVAILABLE", "Too many request bodies are arriving; try again.")
