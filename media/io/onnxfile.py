"""A reader of the weights in an ONNX file, without onnxruntime.

Source: onnx.proto (github.com/onnx/onnx) and the wire format of Protocol Buffers.  It supports only stored weights: the top
graph's initializers of 32-bit floats.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

GRAPH = 7  # field of ModelProto
INITIALIZER = 5  # of GraphProto
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9  # of TensorProto
FLOAT = 1  # TensorProto.DataType


def weights(model: bytes) -> dict[str, Floats]:
    """Return the tensors by name, each in its shape.  Raises ValueError if it is not an ONNX file."""
    tensors: dict[str, Floats] = {}
    for graph in _all(memoryview(model), GRAPH):
        for tensor in _all(graph, INITIALIZER):
            if _numbers(tensor, DATA_TYPE) == [FLOAT] and (raw := list(_all(tensor, RAW_DATA))):
                name = b"".join(_all(tensor, NAME)).decode()
                tensors[name] = np.frombuffer(raw[0], "<f4").astype(np.float32).reshape(_numbers(tensor, DIMS))
    return tensors


def _all(message: memoryview, field: int) -> Iterator[memoryview]:
    """Yield the values of a field that are bytes, text or messages."""
    return (value for number, value in _fields(message) if number == field and isinstance(value, memoryview))


def _numbers(message: memoryview, field: int) -> list[int]:
    return [value for number, value in _fields(message) if number == field and isinstance(value, int)]


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value: int | memoryview
        match key & 7:
            case 0:  # a varint
                value, at = _varint(message, at)
            case 2:  # length-delimited
                size, at = _varint(message, at)
                value, at = message[at : at + size], at + size
            case 1 | 5 as kind:  # 64 or 32 bits
                size = 8 if kind == 1 else 4
                value, at = message[at : at + size], at + size
            case kind:
                raise ValueError(f"not an ONNX model: unknown wire type {kind}")
        if at > len(message):
            raise ValueError("not an ONNX model: the file is truncated")
        yield key >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("not an ONNX model: the file is truncated")
