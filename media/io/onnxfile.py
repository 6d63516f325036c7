"""A reader of the weights in an ONNX file, without onnxruntime.

It supports only stored weights: the top graph's initializers of 32-bit floats.  Of onnx.proto (github.com/onnx/onnx) it
declares what they need, and protobuf skips the rest.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

Floats = npt.NDArray[np.float32]

FLOAT = 1  # TensorProto.DataType
_ONE, _MANY = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED
_TENSOR = (
    FieldDescriptorProto(name="dims", number=1, label=_MANY, type=FieldDescriptorProto.TYPE_INT64),
    FieldDescriptorProto(name="data_type", number=2, label=_ONE, type=FieldDescriptorProto.TYPE_INT32),
    FieldDescriptorProto(name="name", number=8, label=_ONE, type=FieldDescriptorProto.TYPE_STRING),
    FieldDescriptorProto(name="raw_data", number=9, label=_ONE, type=FieldDescriptorProto.TYPE_BYTES),
)
_GRAPH = (FieldDescriptorProto(name="initializer", number=5, label=_MANY, type_name=".onnx.TensorProto"),)
_MODEL = (FieldDescriptorProto(name="graph", number=7, label=_ONE, type_name=".onnx.GraphProto"),)


def weights(model: bytes) -> dict[str, Floats]:
    """Return the tensors by name, each in its shape.  Raises ValueError if it is not an ONNX file."""
    try:
        graph = _model_class().FromString(model).graph
    except DecodeError as error:
        raise ValueError(f"not an ONNX model: {error}") from error
    return {
        tensor.name: np.frombuffer(tensor.raw_data, "<f4").astype(np.float32).reshape(tensor.dims)
        for tensor in graph.initializer
        if tensor.data_type == FLOAT and tensor.raw_data
    }


def _model_class() -> Any:
    """Return the class of ModelProto, with the fields that are declared here."""
    file = FileDescriptorProto(name="onnx.proto", package="onnx")
    for name, fields in (("TensorProto", _TENSOR), ("GraphProto", _GRAPH), ("ModelProto", _MODEL)):
        file.message_type.add(name=name).field.extend(fields)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("onnx.ModelProto"))
