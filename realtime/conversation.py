"""The conversation's items: their order, and the operations on them.  Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from realtime.codec import PCMU, Codec
from realtime.errors import Refusal, missing, wrong_type, wrong_value
from realtime.ids import NewId
from realtime.sound import Word

CONTENT_TYPES = {
    "user": ("input_text", "input_audio"),
    "assistant": ("output_text", "output_audio"),
    "system": ("input_text",),
}


@dataclass(slots=True)
class RealtimeItem:
    """`wire` is the item as events show it; the other fields are known to the server alone."""

    wire: dict[str, Any]
    codec: Codec = PCMU
    audio: bytearray = field(default_factory=bytearray)
    words: list[Word] = field(default_factory=list)
    truncated_ms: int | None = None
    heard_ms: float = 0.0  # length of caller audio

    @property
    def id(self) -> str:
        return str(self.wire["id"])

    @property
    def audio_ms(self) -> int:
        """The audio generated so far, or what a truncation left of it."""
        generated = self.codec.ms(len(self.audio))
        return generated if self.truncated_ms is None else min(generated, self.truncated_ms)

    def transcript(self) -> str:
        """Return the words sent so far; after a truncation those that ended before it."""
        end_ms = float("inf") if self.truncated_ms is None else self.truncated_ms
        return "".join(word.text for word in self.words if word.end_ms <= end_ms).strip()

    def text(self) -> str:
        """Return the text of a message, from any role."""
        parts = self.wire.get("content") or []
        return " ".join(part.get("text") or part.get("transcript") or "" for part in parts).strip()


@dataclass(slots=True)
class FunctionCalls:
    """The functions called since the last message of the user, with their results; `made` are those called before it."""

    names: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, items: Iterable[Mapping[str, Any]]) -> "FunctionCalls":
        calls = cls()
        for item in items:
            if item.get("type") == "function_call":
                calls.names.append(str(item.get("name")))
            elif item.get("type") == "function_call_output":
                calls.results.append(str(item.get("output")))
            elif item.get("role") == "user":
                calls = cls(made=calls.made + calls.names)
        return calls


class RealtimeConversation:
    def __init__(self) -> None:
        self.items: list[RealtimeItem] = []

    def add(self, item: RealtimeItem, after: str | None = None) -> str | None:
        """Insert an item after the one of that id ("root": first; None: last); return the id of the item before it.

        Raises Refusal.
        """
        if any(existing.id == item.id for existing in self.items):
            raise Refusal(
                f"Error adding item: item with ID '{item.id}' already exists.",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        at = len(self.items)
        if after is not None:
            at = 0 if after == "root" else self.items.index(self._previous(after)) + 1
        self.items.insert(at, item)
        return self.items[at - 1].id if at else None

    def before(self, item: RealtimeItem) -> str | None:
        at = self.items.index(item)
        return self.items[at - 1].id if at else None

    def find(self, item_id: str, doing: str) -> RealtimeItem:
        """Return an item by its id; `doing` is the verb in the error message, e.g. "deleting".

        Raises Refusal `item_<verb>_invalid_item_id`.
        """
        for item in self.items:
            if item.id == item_id:
                return item
        verb = {"deleting": "delete", "truncating": "truncate", "retrieving": "retrieve"}[doing]
        raise Refusal(
            f"Error {doing} item: the item with id '{item_id}' does not exist.",
            code=f"item_{verb}_invalid_item_id",
            param="item_id",
        )

    def delete(self, item_id: str) -> None:
        self.items.remove(self.find(item_id, "deleting"))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> RealtimeItem:
        """Cut the unheard audio and words.  Raises Refusal if `audio_end_ms` is 0 or beyond the generated audio."""
        item = self.find(item_id, "truncating")
        if not item.audio or content_index != 0 or audio_end_ms <= 0:
            raise Refusal(
                "Only model output audio messages can be truncated",
                code="unsupported_content_type",
                param="audio_end_ms" if item.audio else "item_id",
            )
        if audio_end_ms > item.audio_ms:
            raise Refusal(
                f"Audio content of {item.audio_ms}ms is already shorter than {audio_end_ms}ms",
                code="invalid_value",
                param="audio_end_ms",
            )
        item.truncated_ms = audio_end_ms
        for part in item.wire["content"]:
            part["transcript"] = item.transcript()
        return item

    def calls(self) -> "FunctionCalls":
        return FunctionCalls.of(item.wire for item in self.items)

    def _previous(self, item_id: str) -> RealtimeItem:
        for item in self.items:
            if item.id == item_id:
                return item
        raise Refusal(
            f"Error adding item: the previous item with id '{item_id}' does not exist.",
            code="item_create_invalid_previous_item_id",
            param="previous_item_id",
        )


def client_item(fields: object, call_ids: set[str], new_id: NewId) -> RealtimeItem:
    """Validate an item that the client creates and return it.  Raises Refusal."""
    if not isinstance(fields, dict):
        raise missing("item")
    wire = {"id": new_id("item"), "object": "realtime.item", "status": "completed"} | fields
    match fields.get("type"):
        case "message":
            _check_message(fields)
        case "function_call_output":
            _need_strings(fields, "call_id", "output")
            if fields["call_id"] not in call_ids:
                raise Refusal(
                    f"Tool call ID '{fields['call_id']}' not found in conversation.",
                    code="invalid_tool_call_id",
                    param="item.call_id",
                )
        case "function_call":
            _need_strings(fields, "name", "arguments", "call_id")
        case None:
            raise missing("item.type")
        case other:
            raise wrong_value("item.type", other, ("message", "function_call", "function_call_output"))
    return RealtimeItem(wire)


def _need_strings(fields: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in fields:
            raise missing(f"item.{name}")
        if not isinstance(fields[name], str):
            raise wrong_type(f"item.{name}", "a string", fields[name])


def _check_message(fields: dict[str, Any]) -> None:
    role = fields.get("role")
    if role not in CONTENT_TYPES:
        raise wrong_value("item.role", role, tuple(CONTENT_TYPES))
    if not isinstance(fields.get("content"), list):
        raise missing("item.content")
    for at, part in enumerate(fields["content"]):
        param = f"item.content[{at}]"
        if not isinstance(part, dict):
            raise wrong_type(param, "an object", part)
        if part.get("type") not in CONTENT_TYPES[role]:
            raise wrong_value(f"{param}.type", part.get("type"), CONTENT_TYPES[role])
        if part["type"].endswith("_text") and not isinstance(part.get("text"), str):
            raise missing(f"{param}.text")
