"""Partial updates of a resource by field masks (AIP-134)."""

from collections.abc import Sequence

from google.protobuf.message import Message


def masked(before: Message, change: Message, paths: Sequence[str]) -> Message:
    """Return `before` with the fields in `paths` from `change`; a field that is unset there is cleared.

    Without paths, use the fields that are populated in `change`.
    """
    after = type(before)()
    after.CopyFrom(before)
    for path in paths or [field.name for field, _ in change.ListFields()]:
        # `hum.contract.validation` has refused unknown paths.
        field = before.DESCRIPTOR.fields_by_name[path]
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
