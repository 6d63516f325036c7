"""The comments in proto/ on services, methods, messages and fields, for the documents derived from them."""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from google.protobuf import descriptor_pb2

SYNTAX = descriptor_pb2.FileDescriptorProto.SYNTAX_FIELD_NUMBER
COMMENTS = resources.files("hum.v1") / "comments.binpb"


def comment(full_name: str) -> str:
    """Return the comment on a method, message or field, without instructions to buf."""
    return _comments().get(full_name, "")


@cache
def about(file: str) -> str:
    """Return the comment at the head of a file such as `hum/v1/calls.proto`."""
    return _comments().get(file, "")


@cache
def _comments() -> dict[str, str]:
    """Return all comments of the contract by full name, those on whole files by file name.

    `make proto` writes them next to the generated code.
    """
    comments: dict[str, str] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(COMMENTS.read_bytes()).file:
        for location in file.source_code_info.location:
            if location.leading_comments:
                lines = location.leading_comments.strip().splitlines()
                text = " ".join(line.strip() for line in lines if not line.strip().startswith("buf:"))
                is_head = list(location.path) == [SYNTAX]
                comments[file.name if is_head else _full_name(file, location.path)] = re.sub(r"\s*$", "", text)
    return comments


def _full_name(file: descriptor_pb2.FileDescriptorProto, path: Sequence[int]) -> str:
    """Return the full name of the element at a source location (descriptor.proto, SourceCodeInfo.Location)."""
    names, element = [file.package], file
    for field_number, index in zip(path[::2], path[1::2], strict=False):
        field = element.DESCRIPTOR.fields_by_number[field_number]
        if not field.is_repeated or field.message_type is None:
            return ""
        element = getattr(element, field.name)[index]
        names.append(getattr(element, "name", ""))
    return ".".join(names)
