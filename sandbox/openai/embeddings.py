"""POST /v1/embeddings: deterministic vectors, near each other for texts that share words and parts of words.  Pure.

Words and their pieces of three and four letters are hashed to dimensions, as fastText does; synonyms are not near each other.
Limits and errors are OpenAI's (platform.openai.com/docs/api-reference/embeddings/create).
"""

import base64
import math
import re
import struct
import zlib
from collections import Counter
from typing import Any

from realtime.errors import Refusal, missing, wrong_type, wrong_value
from realtime.metering import text_tokens

#: Models and their default number of dimensions; the newer ones can return fewer.
MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
MAX_INPUTS, MAX_TOKENS = 2048, 8192
FORMATS = ("float", "base64")
WORD = re.compile(r"\w+")
#: Pieces count less than whole words, and short words, being frequent, less than long ones.
PIECE_WEIGHT, FULL_WEIGHT_CHARS = 0.3, 7


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Return the response to a request.  Raises Refusal."""
    for name in ("input", "model"):
        if name not in body:
            raise missing(name)
    model, texts = body["model"], _texts(body["input"])
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    dimensions = _dimensions(body.get("dimensions"), model)
    form = body.get("encoding_format", "float")
    if form not in FORMATS:
        raise wrong_value("encoding_format", form, FORMATS)
    tokens = sum(text_tokens(text) for text in texts)
    data = [
        {"object": "embedding", "index": n, "embedding": _encoded(vector(text, dimensions), form)}
        for n, text in enumerate(texts)
    ]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def vector(text: str, dimensions: int) -> list[float]:
    """Return the vector of a text, of length 1."""
    counts = Counter[str](WORD.findall(text.lower()))
    numbers = [0.0] * dimensions
    for word, count in counts.items():
        weight = (1 + math.log(count)) * min(len(word), FULL_WEIGHT_CHARS) / FULL_WEIGHT_CHARS
        padded = f"<{word}>"
        pieces = [padded[at : at + size] for size in (3, 4) for at in range(len(padded) - size + 1)]
        for feature, share in ((word, 1.0), *((piece, PIECE_WEIGHT) for piece in pieces)):
            hash = zlib.crc32(feature.encode())
            numbers[hash % dimensions] += weight * share * (1 if hash >> 31 else -1)
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise wrong_type("input", "a string or an array of strings", value)
    if not texts or not all(texts):
        raise Refusal("Invalid 'input': input cannot be an empty string.", param="input")
    if len(texts) > MAX_INPUTS:
        raise Refusal(f"'input' takes at most {MAX_INPUTS} texts.", param="input")
    for text in texts:
        if (tokens := text_tokens(text)) > MAX_TOKENS:
            sentence = (
                f"This model's maximum context length is {MAX_TOKENS} tokens, however you requested {tokens} tokens."
            )
            raise Refusal(sentence, param="input")
    return texts


def _dimensions(requested: Any, model: str) -> int:
    max_dimensions = MODELS.get(model, 1536)
    if requested is None:
        return max_dimensions
    if isinstance(requested, bool) or not isinstance(requested, int):
        raise wrong_type("dimensions", "an integer", requested)
    if model == "text-embedding-ada-002":
        raise Refusal("This model does not support specifying dimensions.", param="dimensions")
    if not 1 <= requested <= max_dimensions:
        raise Refusal(
            f"Invalid value for 'dimensions' = {requested}. Must be between 1 and {max_dimensions}.", param="dimensions"
        )
    return requested


def _encoded(numbers: list[float], form: str) -> list[float] | str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if form == "base64" else numbers
