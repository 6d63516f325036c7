"""The comments in proto/ on services, methods, messages and fields, for the documents that are derived from it."""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from google.protobuf import descriptor_pb2

SYNTAX = descriptor_pb2.FileDescriptorProto.SYNTAX_FIELD_NUMBER
COMMENTS = resources.files("hum.v1") / "comments.binpb"


def comment(full_name: str) -> str:
    """The comment on a method, message or field; without instructions to buf."""
    return _comments().get(full_name, "")


@cache
def about(file: str) -> str:
    """The comment at the head of a file: `hum/v1/calls.proto`."""
    return _comments().get(file, "")


@cache
def _comments() -> dict[str, str]:
    """All comments of the contract, by full name, those on whole files by the file's, from what `make proto` writes next to
    the generated code.
    """
    found: dict[str, str] = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(COMMENTS.read_bytes()).file:
        for location in file.source_code_info.location:
            if location.leading_comments:
                lines = location.leading_comments.strip().splitlines()
                text = " ".join(line.strip() for line in lines if not line.strip().startswith("buf:"))
                is_head = list(location.path) == [SYNTAX]
                found[file.name if is_head else _full_name(file, location.path)] = re.sub(r"\s*$", "", text)
    return found


def _full_name(file: descriptor_pb2.FileDescriptorProto, path: Sequence[int]) -> str:
    """The full name of the element at a source location (google/protobuf/descriptor.proto, SourceCodeInfo.Location)."""
    names, here = [file.package], file
    for field_number, index in zip(path[::2], path[1::2], strict=False):
        field = here.DESCRIPTOR.fields_by_number[field_number]
        if not field.is_repeated or field.message_type is None:
            return ""
        here = getattr(here, field.name)[index]
        names.append(getattr(here, "name", ""))
    return ".".join(names)
