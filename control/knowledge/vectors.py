"""Documents' vectors: as they are stored, kept in memory while they are used, and compared, all of them."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from uuid import UUID

import numpy as np

from control.clients.embeddings import Vectors
from storage.knowledge_search import Made, Place

#: Half as many bytes as they are compared with; the angle changes by less than a thousandth.
STORED = "<f2"


def packed(vectors: Vectors) -> bytes:
    return vectors.astype(STORED).tobytes()


def unpacked(embeddings: bytes, dimensions: int) -> Vectors:
    return np.frombuffer(embeddings, STORED).reshape(-1, dimensions).astype(np.float32)


def nearest(documents: Sequence[tuple[UUID, Vectors]], vector: Vectors, most: int) -> list[Place]:
    """The passages whose vectors have the smallest angles to this one, best first."""
    if not documents:
        return []
    scores = np.concatenate([rows @ vector for _, rows in documents])
    starts = np.cumsum([0, *(len(rows) for _, rows in documents)])
    best = np.argsort(-scores, kind="stable")[:most]
    found = np.searchsorted(starts, best, side="right") - 1
    return [
        Place(documents[int(document)][0], int(at - starts[document]) + 1)
        for at, document in zip(best, found, strict=True)
    ]


class Held:
    """Vectors of documents that were looked at lately, up to `most_bytes`.  Whoever asks for them may see the document.

    Look-ups compare in threads, several at once.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._bytes = 0
        self._rows = OrderedDict[Made, Vectors]()

    def get(self, made: Made) -> Vectors | None:
        with self._lock:
            rows = self._rows.get(made)
            if rows is not None:
                self._rows.move_to_end(made)
            return rows

    def put(self, made: Made, rows: Vectors) -> None:
        with self._lock:
            if made in self._rows or rows.nbytes > self._most_bytes:
                return
            self._rows[made] = rows
            self._bytes += rows.nbytes
            while self._bytes > self._most_bytes:
                _, oldest = self._rows.popitem(last=False)
                self._bytes -= oldest.nbytes
