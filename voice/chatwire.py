"""The wire of `/chat/completions`: a request of a conversation, and its answer as a stream of server-sent events.  Pure.

The dialects that are understood: calls in pieces or whole, with or without an index; text in `content` alone, so that
`reasoning_content` is never spoken; a call as bare JSON in the text; a stream that ends without `[DONE]`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hum.cascades import MindStage
from realtime.mind import AnswerSituation

MOST_LINE_BYTES = 1 << 20
MOST_CALLS = 16
MOST_ARGUMENT_CHARS = 64 << 10
#: What stands for a caller's turn without words, and for a result that is not there yet.
NOT_UNDERSTOOD, RUNNING = "(not understood)", '{"status": "still running"}'
CONTINUE = "Your last message was cut off there. Continue it from exactly that point, without repeating anything of it."


class BadStream(Exception):  # noqa: N818 - it says what it is
    """The server's answer is no stream of a chat completion; the message says why."""


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _CachedTokens(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class ChatUsage(msgspec.Struct, frozen=True):
    """What an answer used, as the server counts."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def cached_in(self) -> int:
        cached = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else None
        return max(0, min(cached or 0, self.prompt_tokens))

    @property
    def new_in(self) -> int:
        return max(0, self.prompt_tokens) - self.cached_in


NO_USAGE = ChatUsage()


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: Any = None
    usage: ChatUsage | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


@dataclass(slots=True)
class CallDraft:
    """A function call as far as it has come."""

    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ChatStream:
    """One answer.  `is_complete`: the server said that it has ended; its usage may follow."""

    usage: ChatUsage = NO_USAGE
    calls: list[CallDraft] = field(default_factory=list)
    is_complete: bool = False
    _line: bytes = b""
    _places: dict[int, CallDraft] = field(default_factory=dict)

    def feed(self, payload: bytes) -> str:
        """Take bytes; return the text that came with them.  Raises BadStream."""
        *lines, self._line = (self._line + payload).split(b"\n")
        if len(self._line) > MOST_LINE_BYTES:
            raise BadStream("a line of more than 1 MiB")
        return "".join(map(self._read, lines))

    def _read(self, line: bytes) -> str:
        if not line.startswith(b"data:"):
            return ""
        content = line[len(b"data:") :].strip()
        if content == b"[DONE]":
            self.is_complete = True
            return ""
        try:
            chunk = _decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadStream("an event that is no chunk of a completion") from None
        if chunk.error is not None:
            raise BadStream("the server reports an error in its stream")
        self.usage = chunk.usage or self.usage
        return "" if self.is_complete else "".join(self._choice(choice) for choice in chunk.choices[:1])

    def _choice(self, choice: _Choice) -> str:
        delta = choice.delta or _Delta()
        for call in delta.tool_calls or ():
            self._add(call)
        self.is_complete = self.is_complete or choice.finish_reason is not None
        return delta.content or ""

    def _add(self, call: _Call) -> None:
        function = call.function or _Function()
        # Without an index, a name begins a call.
        at = call.index if call.index is not None else len(self.calls) - (0 if function.name else 1)
        draft = self._places.get(at)
        if draft is None:
            if len(self.calls) >= MOST_CALLS:
                raise BadStream(f"more than {MOST_CALLS} calls")
            draft = self._places[at] = CallDraft()
            self.calls.append(draft)
        draft.name += function.name or ""
        arguments = function.arguments or ""
        draft.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)
        if len(draft.arguments) > MOST_ARGUMENT_CHARS:
            raise BadStream("a call with more than 64 KiB of arguments")


def request(
    stage: MindStage, situation: AnswerSituation, spoken: str = "", corrections: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return the body of a request.  `spoken` is what the caller hears of this answer already, from a server that failed."""
    body: dict[str, Any] = {"model": stage.model, "messages": [*messages(situation), *corrections], "stream": True}
    if stage.tells_usage:
        body["stream_options"] = {"include_usage": True}
    body |= stage.extra
    if spoken:
        body["messages"] += [{"role": "assistant", "content": spoken}, {"role": "system", "content": CONTINUE}]
    if situation.tools:
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in situation.tools]
    return body


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters") if name in tool}


def messages(situation: AnswerSituation) -> list[dict[str, Any]]:
    """Return the conversation as chat messages: of what the model said the words that were heard."""
    chat: list[dict[str, Any]] = [{"role": "system", "content": situation.instructions}]
    results = {
        item.get("call_id"): str(item.get("output", ""))
        for item, _ in situation.items
        if item.get("type") == "function_call_output"
    }
    for item, text in situation.items:
        match item.get("type"):
            case "message":
                if text or item.get("role") == "user":
                    chat.append({"role": item.get("role"), "content": text or NOT_UNDERSTOOD})
            case "function_call":
                _append_call(chat, item, results)
    return chat


def _append_call(chat: list[dict[str, Any]], item: Mapping[str, Any], results: Mapping[Any, str]) -> None:
    """Append a call with its result: a server refuses one without the other."""
    function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
    call = {"id": item.get("call_id"), "type": "function", "function": function}
    chat.append({"role": "assistant", "content": None, "tool_calls": [call]})
    result = results.get(item.get("call_id"), RUNNING)
    chat.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": result})


def problem(call: CallDraft, tools: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with a call, for the model; empty if it can be made."""
    if call.name not in {tool.get("name") for tool in tools}:
        return f"There is no function {call.name[:100]}."
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return f"The arguments of {call.name} are not valid JSON."
    return "" if isinstance(arguments, dict) else f"The arguments of {call.name} are not an object."


def correction(call: CallDraft, sentence: str) -> list[dict[str, Any]]:
    """Return the messages that tell the model of a call that can't be made."""
    function = {"name": call.name[:100] or "unknown", "arguments": "{}"}
    made = {"id": "call_refused", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_refused", "content": json.dumps({"error": sentence})},
    ]


def spoken_call(text: str) -> CallDraft | None:
    """Return the call that a model wrote as text, such as {"name": "book", "arguments": {...}}; None if it is none."""
    text = text.strip().removeprefix("```json").removeprefix("<tool_call>").strip()
    text = text.removesuffix("```").removesuffix("</tool_call>").strip()
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(content, list) and len(content) == 1:
        (content,) = content
    if not isinstance(content, dict) or not isinstance(content.get("name"), str):
        return None
    arguments = content.get("arguments", content.get("parameters", {}))
    return CallDraft(content["name"], arguments if isinstance(arguments, str) else json.dumps(arguments))
