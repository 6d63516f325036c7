"""Request bodies: limits on the size of each, on the size of all together, and on the time each may take."""

import asyncio

from starlette.requests import Request


class BadBody(Exception):  # noqa: N818 - a refusal is no fault of ours
    """A body that is refused; `reason` is REST's, and the message is for the client."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Bodies:
    """Reads bodies of up to `most_bytes`, each within `seconds`; incomplete ones hold up to `most_bytes_together`."""

    def __init__(self, most_bytes: int, most_bytes_together: int, seconds: float) -> None:
        self._most_bytes, self._together_bytes, self._seconds = most_bytes, most_bytes_together, seconds
        self._held_bytes = 0

    async def read(self, request: Request, most_bytes: int | None = None) -> bytes:
        """The body.  Raises BadBody, and starlette's ClientDisconnect."""
        most_bytes = most_bytes or self._most_bytes
        if int(request.headers.get("content-length") or 0) > most_bytes:
            raise BadBody("PAYLOAD_TOO_LARGE", f"The body is larger than {most_bytes} bytes.")
        parts, size_bytes = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                async for part in request.stream():
                    parts.append(part)
                    size_bytes += len(part)
                    self._held_bytes += len(part)
                    if size_bytes > most_bytes:
                        raise BadBody("PAYLOAD_TOO_LARGE", f"The body is larger than {most_bytes} bytes.")
                    if self._held_bytes > self._together_bytes:
                        raise BadBody("UNAVAILABLE", "Too many request bodies are arriving; try again.")
        except TimeoutError as error:
            raise BadBody("REQUEST_TIMEOUT", f"The body did not arrive within {self._seconds:g} s.") from error
        finally:
            self._held_bytes -= size_bytes
        return b"".join(parts)
