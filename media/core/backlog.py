"""Buffered caller audio as a list of frames: appending to a list is cheaper than copying into one buffer."""


class Backlog:
    """Frames of any length, in order, and their total size in bytes."""

    __slots__ = ("_frames", "size")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self.size = 0

    def add(self, frame: bytes) -> None:
        self._frames.append(frame)
        self.size += len(frame)

    def joined(self) -> bytes:
        return b"".join(self._frames)

    def newest(self, count: int) -> bytes:
        """Return the last `count` frames, or all if there are fewer."""
        return b"".join(self._frames[-count:])

    def take(self) -> bytes:
        """Return everything and clear the backlog."""
        content = b"".join(self._frames)
        self.clear()
        return content

    def clear(self) -> None:
        self._frames.clear()
        self.size = 0

    def trim(self, limit: int) -> None:
        """Drop the oldest frames until at most `limit` bytes are left."""
        frames, size, dropped = self._frames, self.size, 0
        while size > limit:
            size -= len(frames[dropped])
            dropped += 1
        if dropped:
            del frames[:dropped]
            self.size = size
