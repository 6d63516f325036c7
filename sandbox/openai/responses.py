"""POST /v1/responses: texts from the script, objects from a schema; whole, or as server-sent events.

Event order: platform.openai.com/docs/api-reference/responses-streaming.  Responses are not stored: `previous_response_id` is
refused.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from realtime.conversation import FunctionCalls
from realtime.errors import Refusal, missing, wrong_type
from realtime.ids import new_id
from realtime.mind import AnswerSituation
from sandbox.openai import mind, proposals, schema
from sandbox.openai.script import ScriptPlayer, Turn
from sandbox.speech.sound import split_words

Body = dict[str, Any]
CHARS_PER_TOKEN = 4
#: The cache serves long instructions, in steps of this many tokens.
MIN_CACHED, CACHE_STEP = 1024, 128


def respond(body: Body, player: ScriptPlayer) -> Body:
    """Return the finished response object.  Raises Refusal."""
    for name in ("model", "input"):
        if name not in body:
            raise missing(name)
    if body.get("previous_response_id"):
        raise Refusal("Responses are not stored.", code="previous_response_not_found", param="previous_response_id")
    items = _items(body["input"])
    _require_pairs(items)
    text_format = (body.get("text") or {}).get("format") or {"type": "text"}
    output: list[Body] = []
    if text_format.get("type") == "json_schema":
        output.append(_message(_object(text_format, items)))
    else:
        turn = mind.choose_turn(player, player.next_text(), _situation(body, items))
        if turn.say is not None:
            output.append(_message(turn.say))
        output += _calls(turn, in_parallel=body.get("parallel_tool_calls", True))
    return _response(body, output, "\n".join(_text(item) for item in items))


def events(response: Body) -> Iterator[Body]:
    """Yield the streamed events of a response."""
    unfinished = response | {"status": "in_progress", "output": [], "usage": None, "completed_at": None}
    parts = [("response.created", {"response": unfinished}), ("response.in_progress", {"response": unfinished})]
    for index, item in enumerate(response["output"]):
        place = {"item_id": item["id"], "output_index": index}
        parts += _message_events(item, place) if item["type"] == "message" else _call_events(item, place)
    parts.append(("response.completed", {"response": response}))
    for number, (type, fields) in enumerate(parts):
        yield {"type": type, "sequence_number": number, **fields}


def _message_events(item: Body, place: Body) -> list[tuple[str, Body]]:
    index = {"output_index": place["output_index"]}
    spot, part = place | {"content_index": 0}, item["content"][0]
    opening = item | {"status": "in_progress", "content": []}
    words = split_words(part["text"])
    return [
        ("response.output_item.added", index | {"item": opening}),
        ("response.content_part.added", spot | {"part": part | {"text": ""}}),
        *(("response.output_text.delta", spot | {"delta": word, "logprobs": []}) for word in words),
        ("response.output_text.done", spot | {"text": part["text"], "logprobs": []}),
        ("response.content_part.done", spot | {"part": part}),
        ("response.output_item.done", index | {"item": item}),
    ]


def _call_events(item: Body, place: Body) -> list[tuple[str, Body]]:
    index = {"output_index": place["output_index"]}
    opening = item | {"status": "in_progress", "arguments": ""}
    return [
        ("response.output_item.added", index | {"item": opening}),
        ("response.function_call_arguments.delta", place | {"delta": item["arguments"]}),
        ("response.function_call_arguments.done", place | {"name": item["name"], "arguments": item["arguments"]}),
        ("response.output_item.done", index | {"item": item}),
    ]


def _items(value: Any) -> list[Body]:
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise wrong_type("input", "a string or an array of objects", value)
    return value


def _require_pairs(items: list[Body]) -> None:
    """Check that each call has an output after it, and each output a call before it.  Raises Refusal.

    Because conversations are not stored, a request must contain all of them.
    """
    calls = [item.get("call_id") for item in items if item.get("type") == "function_call"]
    open_calls = set[Any]()
    for item in items:
        match item.get("type"):
            case "function_call":
                open_calls.add(item.get("call_id"))
            case "function_call_output" if item.get("call_id") not in calls:
                missing_id = item.get("call_id")
                raise Refusal(f"No tool call found for function call output with call_id {missing_id}.", param="input")
            case "function_call_output":
                open_calls.discard(item.get("call_id"))
    if open_calls:
        raise Refusal(f"No tool output found for function call {min(map(str, open_calls))}.", param="input")


def _text(item: Body) -> str:
    content = item.get("content", "")
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def _situation(body: Body, items: list[Body]) -> AnswerSituation:
    calls = FunctionCalls.of(items)
    caller_text = next((_text(item) for item in reversed(items) if item.get("role") == "user"), None)
    leading = [_text(item) for item in items if item.get("role") in {"system", "developer"}]
    return AnswerSituation(
        instructions="\n".join([body.get("instructions") or "", *leading]),
        caller_text=caller_text,
        dialogue=[(str(item["role"]), _text(item)) for item in items if item.get("role") in {"user", "assistant"}],
        called=calls.names,
        results=calls.results,
        made=calls.made,
        tools=() if body.get("tool_choice") == "none" else body.get("tools") or (),
    )


def _object(text_format: Body, items: list[Body]) -> str:
    if not isinstance(text_format.get("schema"), dict):
        raise missing("text.format.schema")
    text = "\n".join(_text(item) for item in items if item.get("role", "user") == "user")
    try:
        if text_format["schema"].get("title") == proposals.TITLE:
            return json.dumps(proposals.propose(text_format["schema"], text), ensure_ascii=False)
        return json.dumps(schema.fill(text_format["schema"], text), ensure_ascii=False)
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(
            f"Invalid schema for response_format '{text_format.get('name')}': {error}",
            code="invalid_json_schema",
            param="text.format.schema",
        ) from error


def _message(text: str) -> Body:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": new_id("msg"), "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _calls(turn: Turn, *, in_parallel: bool) -> list[Body]:
    """Return the function calls of the answer; at most one unless the request allows parallel calls."""
    calls = [*([] if turn.call is None else [turn.call]), *turn.more_calls]
    return [
        {
            "id": new_id("fc"),
            "type": "function_call",
            "status": "completed",
            "call_id": new_id("call"),
            "name": call.name,
            "arguments": json.dumps(call.arguments),
        }
        for call in (calls if in_parallel else calls[:1])
    ]


def _response(body: Body, output: list[Body], input_text: str) -> Body:
    output_text = "".join(_text(item) + item.get("arguments", "") for item in output)
    instruction_tokens, tokens_out = (
        len(body.get("instructions") or "") // CHARS_PER_TOKEN,
        len(output_text) // CHARS_PER_TOKEN,
    )
    tokens_in = instruction_tokens + len(input_text) // CHARS_PER_TOKEN
    cached = instruction_tokens // CACHE_STEP * CACHE_STEP if instruction_tokens >= MIN_CACHED else 0
    now = int(time.time())
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": now,
        "completed_at": now,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": {
            "input_tokens": tokens_in,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": tokens_out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens_in + tokens_out,
        },
        "metadata": body.get("metadata") or {},
    }
