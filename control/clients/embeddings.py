"""The client of embeddings: vectors of the meaning of texts, from `{OPENAI_BASE_URL}/embeddings`.

It avoids OpenAI's SDK: importing it takes longer than a look-up may, in a process that serves calls.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import numpy as np
from numpy.typing import NDArray

from control.clients.openai import ModelError, ModelUsage, retry_after_seconds
from hum import answers
from hum.settings import ModelSettings

#: The most bytes of a number of an embedding, and of what stands around it.
NUMBER_BYTES = 32
Vectors = NDArray[np.float32]
"""A row per text, each of length 1."""


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    vectors: Vectors
    spent: ModelUsage


class Embedder(Protocol):
    #: The model and its dimensions; only vectors of the same name can be compared.
    name: str

    async def embed(self, texts: Sequence[str], seconds: float) -> EmbeddingAnswer:
        """Return the texts' vectors.  Raises ModelError, also after `seconds`."""
        ...


class Embeddings:
    """The client of one process; `close` it."""

    def __init__(self, settings: ModelSettings, model: str, dimensions: int) -> None:
        self.name = f"{model}/{dimensions}"
        self._settings, self._model, self._dimensions = settings, model, dimensions
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def embed(self, texts: Sequence[str], seconds: float) -> EmbeddingAnswer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {self._settings.openai_api_key or 'none'}"}
            )
        body = {
            "model": self._model,
            "input": list(texts),
            "dimensions": self._dimensions,
            "encoding_format": "base64",
        }
        url = f"{self._settings.openai_base_url.rstrip('/')}/embeddings"
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with self._session.post(url, json=body, timeout=timeout, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise ModelError(
                        f"the embeddings endpoint answered {answer.status}", retry_after_seconds(answer.headers)
                    )
                # Some servers send a list of numbers in spite of `encoding_format`.
                numbers = len(texts) * (self._dimensions + 20) + 100
                received = await answers.read(answer.content.iter_any(), numbers * NUMBER_BYTES)
            answers.require_few(received, numbers)
            result = json.loads(received)
            return EmbeddingAnswer(_vectors(result, len(texts), self._dimensions), _spent(result, self._model))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"no embeddings: {error!r}"[:300]) from None


def _spent(answer: Any, model: str) -> ModelUsage:
    """Return the usage, 0 if a server reports none.  Raises KeyError, TypeError, ValueError if malformed."""
    return ModelUsage(model, text_in=int((answer.get("usage") or {}).get("prompt_tokens") or 0))


def _vectors(answer: Any, count: int, dimensions: int) -> Vectors:
    """Decode the vectors.  Raises ValueError, KeyError, TypeError for a malformed answer."""
    vectors = np.zeros((count, dimensions), dtype=np.float32)
    data = answer["data"]
    if sorted(entry["index"] for entry in data) != list(range(count)):
        raise ValueError("the answer has not one embedding for each text")
    for entry in data:
        numbers = entry["embedding"]
        try:
            row = (
                np.frombuffer(base64.b64decode(numbers), "<f4")
                if isinstance(numbers, str)
                else np.array(numbers, "<f4")
            )
        except binascii.Error as error:
            raise ValueError(str(error)) from error
        if row.shape != (dimensions,) or not np.isfinite(row).all():
            raise ValueError(f"an embedding is not {dimensions} numbers")
        vectors[entry["index"]] = row
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors
