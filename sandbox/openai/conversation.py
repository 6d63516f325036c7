"""The conversation's items: their order, and what may be done to them.  Pure."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.openai.codec import PCMU, Codec
from sandbox.openai.errors import Refusal, missing, wrong_type, wrong_value
from sandbox.openai.ids import NewId
from sandbox.speech.sound import Word

CONTENT_TYPES = {
    "user": ("input_text", "input_audio"),
    "assistant": ("output_text", "output_audio"),
    "system": ("input_text",),
}


@dataclass(slots=True)
class Item:
    """`wire` is the item as events show it; the rest is what only the server knows about an item that it spoke."""

    wire: dict[str, Any]
    codec: Codec = PCMU
    audio: bytearray = field(default_factory=bytearray)
    words: list[Word] = field(default_factory=list)
    truncated_ms: int | None = None
    heard_ms: float = 0.0  # of what the caller said

    @property
    def id(self) -> str:
        return str(self.wire["id"])

    @property
    def audio_ms(self) -> int:
        """The audio generated so far, or what is left of it after a truncation."""
        generated = self.codec.ms(len(self.audio))
        return generated if self.truncated_ms is None else min(generated, self.truncated_ms)

    def transcript(self) -> str:
        """The words sent so far; after a truncation those that ended before it."""
        end_ms = float("inf") if self.truncated_ms is None else self.truncated_ms
        return "".join(each.text for each in self.words if each.end_ms <= end_ms).strip()

    def text(self) -> str:
        """The text of a message, from any role."""
        parts = self.wire.get("content") or []
        return " ".join(each.get("text") or each.get("transcript") or "" for each in parts).strip()


class Conversation:
    def __init__(self) -> None:
        self.items: list[Item] = []

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert after the item of that id ("root": first; None: last); returns the id of the one before it."""
        if any(each.id == item.id for each in self.items):
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

    def before(self, item: Item) -> str | None:
        at = self.items.index(item)
        return self.items[at - 1].id if at else None

    def find(self, item_id: str, doing: str) -> Item:
        """Raises Refusal `item_<verb>_invalid_item_id`; `doing` is the verb in its message, e.g. "deleting"."""
        for each in self.items:
            if each.id == item_id:
                return each
        verb = {"deleting": "delete", "truncating": "truncate", "retrieving": "retrieve"}[doing]
        raise Refusal(
            f"Error {doing} item: the item with id '{item_id}' does not exist.",
            code=f"item_{verb}_invalid_item_id",
            param="item_id",
        )

    def delete(self, item_id: str) -> None:
        self.items.remove(self.find(item_id, "deleting"))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> Item:
        """Cut the unheard audio and words.  Raises Refusal if `audio_end_ms` is 0 or beyond what was generated."""
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

    def calls_since_the_caller_spoke(self) -> list[str]:
        """Names of the functions called since the last user message."""
        names: list[str] = []
        for each in self.items:
            if each.wire["type"] == "function_call":
                names.append(each.wire["name"])
            elif each.wire.get("role") == "user":
                names.clear()
        return names

    def _previous(self, item_id: str) -> Item:
        for each in self.items:
            if each.id == item_id:
                return each
        raise Refusal(
            f"Error adding item: the previous item with id '{item_id}' does not exist.",
            code="item_create_invalid_previous_item_id",
            param="previous_item_id",
        )


def client_item(wish: object, call_ids: set[str], new_id: NewId) -> Item:
    """An item that the client creates.  Raises Refusal for a shape that the API does not accept."""
    if not isinstance(wish, dict):
        raise missing("item")
    wire = {"id": new_id("item"), "object": "realtime.item", "status": "completed"} | wish
    match wish.get("type"):
        case "message":
            _check_message(wish)
        case "function_call_output":
            _need_strings(wish, "call_id", "output")
            if wish["call_id"] not in call_ids:
                raise Refusal(
                    f"Tool call ID '{wish['call_id']}' not found in conversation.",
                    code="invalid_tool_call_id",
                    param="item.call_id",
                )
        case "function_call":
            _need_strings(wish, "name", "arguments", "call_id")
        case None:
            raise missing("item.type")
        case other:
            raise wrong_value("item.type", other, ("message", "function_call", "function_call_output"))
    return Item(wire)


def _need_strings(wish: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in wish:
            raise missing(f"item.{name}")
        if not isinstance(wish[name], str):
            raise wrong_type(f"item.{name}", "a string", wish[name])


def _check_message(wish: dict[str, Any]) -> None:
    role = wish.get("role")
    if role not in CONTENT_TYPES:
        raise wrong_value("item.role", role, tuple(CONTENT_TYPES))
    if not isinstance(wish.get("content"), list):
        raise missing("item.content")
    for at, part in enumerate(wish["content"]):
        param = f"item.content[{at}]"
        if not isinstance(part, dict):
            raise wrong_type(param, "an object", part)
        if part.get("type") not in CONTENT_TYPES[role]:
            raise wrong_value(f"{param}.type", part.get("type"), CONTENT_TYPES[role])
        if part["type"].endswith("_text") and not isinstance(part.get("text"), str):
            raise missing(f"{param}.text")
