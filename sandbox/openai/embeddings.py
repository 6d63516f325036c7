"""POST /v1/embeddings: vectors that are the same for the same text, and near for texts with the same words and parts of words.
Pure.

Words and their pieces of three and four letters are hashed to dimensions, as fastText does; what a model has learnt of synonyms is not in
it.  Limits and errors are OpenAI's (platform.openai.com/docs/api-reference/embeddings/create).
"""

import base64
import math
import re
import struct
import zlib
from collections import Counter
from typing import Any

from sandbox.openai.errors import Refusal, missing, wrong_type, wrong_value
from sandbox.openai.metering import text_tokens

#: The models, and how many numbers they make unless they are asked for fewer; only the newer ones make fewer.
MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
MOST_INPUTS, MOST_TOKENS = 2048, 8192
FORMATS = ("float", "base64")
WORD = re.compile(r"\w+")
#: Pieces of words count less than whole ones, and short words, which are everywhere, less than long ones.
PIECE_WEIGHT, FULL_WEIGHT_CHARS = 0.3, 7


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Raises Refusal."""
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
        {"object": "embedding", "index": n, "embedding": _shown(vector(text, dimensions), form)}
        for n, text in enumerate(texts)
    ]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def vector(text: str, dimensions: int) -> list[float]:
    """Of length 1."""
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


def _texts(sent: Any) -> list[str]:
    texts = [sent] if isinstance(sent, str) else sent
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise wrong_type("input", "a string or an array of strings", sent)
    if not texts or not all(texts):
        raise Refusal("Invalid 'input': input cannot be an empty string.", param="input")
    if len(texts) > MOST_INPUTS:
        raise Refusal(f"'input' takes at most {MOST_INPUTS} texts.", param="input")
    for text in texts:
        if (tokens := text_tokens(text)) > MOST_TOKENS:
            sentence = (
                f"This model's maximum context length is {MOST_TOKENS} tokens, however you requested {tokens} tokens."
            )
            raise Refusal(sentence, param="input")
    return texts


def _dimensions(wish: Any, model: str) -> int:
    most = MODELS.get(model, 1536)
    if wish is None:
        return most
    if isinstance(wish, bool) or not isinstance(wish, int):
        raise wrong_type("dimensions", "an integer", wish)
    if model == "text-embedding-ada-002":
        raise Refusal("This model does not support specifying dimensions.", param="dimensions")
    if not 1 <= wish <= most:
        raise Refusal(f"Invalid value for 'dimensions' = {wish}. Must be between 1 and {most}.", param="dimensions")
    return wish


def _shown(numbers: list[float], form: str) -> list[float] | str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if form == "base64" else numbers
