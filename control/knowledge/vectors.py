"""Documents' vectors: their stored form, a cache in memory, and exhaustive comparison."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from uuid import UUID

import numpy as np

from control.clients.embeddings import Vectors
from storage.knowledge_search import PassagePlace, VectorVersion

#: Half precision: half the bytes of the compared form, and angles change by less than a thousandth.
STORED = "<f2"


def packed(vectors: Vectors) -> bytes:
    return vectors.astype(STORED).tobytes()


def unpacked(embeddings: bytes, dimensions: int) -> Vectors:
    return np.frombuffer(embeddings, STORED).reshape(-1, dimensions).astype(np.float32)


def nearest(documents: Sequence[tuple[UUID, Vectors]], vector: Vectors, limit: int) -> list[PassagePlace]:
    """Return the `limit` passages with the smallest angles between their vectors and this one, best first."""
    if not documents:
        return []
    scores = np.concatenate([rows @ vector for _, rows in documents])
    starts = np.cumsum([0, *(len(rows) for _, rows in documents)])
    best = np.argsort(-scores, kind="stable")[:limit]
    documents_of_best = np.searchsorted(starts, best, side="right") - 1
    return [
        PassagePlace(documents[int(document)][0], int(at - starts[document]) + 1)
        for at, document in zip(best, documents_of_best, strict=True)
    ]


class VectorCache:
    """An LRU cache of documents' vectors, up to `most_bytes`.  Callers have checked access to the document.

    It is thread-safe: several look-ups compare in threads concurrently.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._bytes = 0
        self._rows = OrderedDict[VectorVersion, Vectors]()

    def get(self, key: VectorVersion) -> Vectors | None:
        with self._lock:
            rows = self._rows.get(key)
            if rows is not None:
                self._rows.move_to_end(key)
            return rows

    def put(self, key: VectorVersion, rows: Vectors) -> None:
        with self._lock:
            if key in self._rows or rows.nbytes > self._most_bytes:
                return
            self._rows[key] = rows
            self._bytes += rows.nbytes
            while self._bytes > self._most_bytes:
                _, oldest = self._rows.popitem(last=False)
                self._bytes -= oldest.nbytes
