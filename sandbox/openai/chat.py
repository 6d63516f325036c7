"""POST /v1/chat/completions: answers from the script or by the receptionist's rules, whole or as a stream.  Pure.

Only what cascades use is there: text, and calls of functions.
"""

import json
from collections.abc import Iterator
from typing import Any

from realtime.conversation import FunctionCalls
from realtime.errors import Refusal, missing, wrong_type
from realtime.ids import new_id
from realtime.metering import text_tokens
from realtime.mind import AnswerSituation
from sandbox.openai import mind
from sandbox.openai.script import ScriptPlayer, Turn
from sandbox.speech.sound import split_words

Body = dict[str, Any]


def answer(body: Body, player: ScriptPlayer) -> Turn:
    """Return the next turn of the conversation.  Raises Refusal."""
    for name in ("model", "messages"):
        if name not in body:
            raise missing(name)
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise wrong_type("messages", "an array of objects", messages)
    _require_results(messages)
    return mind.choose_turn(player, player.next_turn(), _situation(body, messages))


def deltas(turn: Turn) -> Iterator[Body]:
    """Yield the pieces of an answer: its words one by one, then its calls."""
    yield {"role": "assistant", "content": ""}
    for word in split_words(turn.say or ""):
        yield {"content": word}
    if calls := _calls(turn):
        yield {"tool_calls": [{"index": at, **call} for at, call in enumerate(calls)]}


def chunk(body: Body, delta: Body, finish: str | None = None) -> Body:
    """Return an event of the stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
    }


def usage(body: Body, turn: Turn) -> Body:
    """Return what an answer used, at four characters a token."""
    read = text_tokens("".join(_text(message) for message in body["messages"]) + json.dumps(body.get("tools") or ""))
    written = text_tokens((turn.say or "") + json.dumps(_calls(turn) or ""))
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def finish_of(turn: Turn) -> str:
    return "tool_calls" if turn.call is not None or turn.more_calls else "stop"


def whole(body: Body, turn: Turn) -> Body:
    """Return an answer that is not streamed."""
    message: Body = {"role": "assistant", "content": turn.say}
    if calls := _calls(turn):
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": finish_of(turn)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
        "usage": usage(body, turn),
    }


def _calls(turn: Turn) -> list[Body]:
    calls = ([] if turn.call is None else [turn.call]) + turn.more_calls
    return [
        {
            "id": new_id("call"),
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in calls
    ]


def _require_results(messages: list[Body]) -> None:
    """Check that the result of each call follows it at once.  Raises Refusal."""
    awaited: set[Any] = set()
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in awaited:
                raise Refusal("A message of role 'tool' must follow a message with its tool call.", param="messages")
            awaited.discard(message["tool_call_id"])
        elif awaited:
            break
        awaited |= {call.get("id") for call in message.get("tool_calls") or ()}
    if awaited:
        raise Refusal("Tool calls must be followed by their results.", param="messages")


def _situation(body: Body, messages: list[Body]) -> AnswerSituation:
    calls = FunctionCalls.of(_items(messages))
    spoken = [
        (str(message["role"]), _text(message)) for message in messages if message.get("role") in {"user", "assistant"}
    ]
    return AnswerSituation(
        instructions="\n".join(_text(message) for message in messages if message.get("role") == "system"),
        caller_text=next((text for role, text in reversed(spoken) if role == "user"), None),
        dialogue=[(role, text) for role, text in spoken if text],
        called=calls.names,
        results=calls.results,
        made=calls.made,
        tools=[tool["function"] for tool in body.get("tools") or () if isinstance(tool.get("function"), dict)],
    )


def _items(messages: list[Body]) -> Iterator[Body]:
    for message in messages:
        if message.get("role") == "tool":
            yield {"type": "function_call_output", "output": message.get("content")}
        for call in message.get("tool_calls") or ():
            yield {"type": "function_call", "name": call["function"]["name"]}
        if message.get("role") == "user":
            yield message


def _text(message: Body) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)
