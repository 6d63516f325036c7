"""Partial updates: which fields of a resource a request changes (AIP-134)."""

from collections.abc import Sequence

from google.protobuf.message import Message


def masked(before: Message, change: Message, paths: Sequence[str]) -> Message:
    """`before` with the fields named by `paths` taken from `change`; a field that is unset there is cleared.

    Without paths, the fields that are populated in `change`.
    """
    after = type(before)()
    after.CopyFrom(before)
    for path in paths or [field.name for field, _ in change.ListFields()]:
        field = before.DESCRIPTOR.fields_by_name[path]  # hum.validation has refused the others
        after.ClearField(path)
        value = getattr(change, path)
        if field.is_repeated:
            getattr(after, path).extend(value)
        elif not field.has_presence or change.HasField(path):
            if field.message_type is not None:
                getattr(after, path).CopyFrom(value)
            else:
                setattr(after, path, value)
    return after
