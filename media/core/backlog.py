"""Caller audio as it came, frame by frame: to keep one more costs less than to copy it behind the others."""


class Backlog:
    """Frames in order, of any length, and how many bytes they are."""

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
        """The last so many frames, or all that there are."""
        return b"".join(self._frames[-count:])

    def take(self) -> bytes:
        """All of it; nothing is left."""
        taken = b"".join(self._frames)
        self.clear()
        return taken

    def clear(self) -> None:
        self._frames.clear()
        self.size = 0

    def forget(self, kept: int) -> None:
        """Let go of the oldest frames, so that at most `kept` bytes are left."""
        frames, size, gone = self._frames, self.size, 0
        while size > kept:
            size -= len(frames[gone])
            gone += 1
        if gone:
            del frames[:gone]
            self.size = size
