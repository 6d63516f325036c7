"""The tools of agents: one registry for calls and, later, texts and events.

A feature declares its tools; a tool is offered where its channels and its `parameters` allow; its arguments are checked
before it runs, its time and its result are bounded, and a failure is a sentence that the agent can say.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

from opentelemetry.trace import get_current_span
from prometheus_client import Histogram

from hum import customerschemas
from hum.clock import monotonic_ms
from hum.errors import Refused
from hum.telemetry import log
from storage.db import AWAY, BUSY

LOG = log(__name__)
SECONDS = Histogram("hum_tool_seconds", "Seconds that a tool took", ["tool", "status"])
MAX_ARGUMENTS_BYTES = 64 << 10
MAX_OUTPUT_BYTES = 32 << 10

Schema = Mapping[str, Any]
Definition = Mapping[str, Any]
"""A flow's own fields, as storage keeps them."""


class ToolChannel(Enum):
    """Where an agent acts."""

    CALL = auto()


class Policy(Enum):
    """Whether a tool may run without asking."""

    ALLOWED = auto()
    #: A person must approve; approvals are not implemented, so such a tool never runs.
    APPROVAL = auto()


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The call that a tool runs for."""

    organization: UUID
    call: UUID
    definition: Definition


@dataclass(frozen=True, slots=True)
class Result:
    """A tool's result.  `output` becomes JSON for the model."""

    output: Any
    ok: bool = True


Run = Callable[[ToolContext, Mapping[str, Any]], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` makes the JSON Schema (2020-12) of the arguments from the flow; None: the flow has no use for it.

    A tool without `run` ends the call: the media process does that itself, whether or not control is reachable.
    """

    name: str
    description: str
    parameters: Callable[[Definition], Schema | None]
    run: Run | None
    channels: frozenset[ToolChannel]
    timeout_ms: int
    policy: Policy = Policy.ALLOWED


class Registry:
    """All tools of all features, by name."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    def add(self, tools: Iterable[Tool]) -> None:
        for tool in tools:
            assert tool.name not in self._tools, f"two tools are called {tool.name}"
            self._tools[tool.name] = tool

    def offered(self, channel: ToolChannel, definition: Definition) -> list[tuple[Tool, Schema]]:
        """The tools that an agent of this flow may use there, with the schemas of their arguments."""
        able = [(tool, tool.parameters(definition)) for tool in self._tools.values() if channel in tool.channels]
        return [(tool, schema) for tool, schema in able if schema is not None]

    async def run(self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext) -> Result:
        """Run a tool that the agent may use, within its time.  A failure is a result."""
        offered = {tool.name: (tool, schema) for tool, schema in self.offered(channel, context.definition)}
        if name not in offered:
            return failed("There is no such tool.")
        tool, schema = offered[name]
        get_current_span().set_attribute("hum.tool", name)
        if tool.run is None or tool.policy is not Policy.ALLOWED:
            return failed("This needs a person's approval, and nobody can give it now.")
        arguments, problems = _arguments(arguments_json, schema)
        if problems:
            return failed("The arguments are not valid. Correct them and call the tool again, once.", problems)
        began_ms = monotonic_ms()
        result = await self._bounded(tool, tool.run, context, arguments)
        SECONDS.labels(name, "ok" if result.ok else "failed").observe((monotonic_ms() - began_ms) / 1000)
        return result

    async def _bounded(self, tool: Tool, run: Run, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        try:
            async with asyncio.timeout(tool.timeout_ms / 1000):
                result = await run(context, arguments)
        except TimeoutError:
            return failed("This took too long. It is not known whether it was done.")
        except Refused as refusal:
            return failed(str(refusal))
        except (*AWAY, *BUSY):
            return failed("This can't be done at the moment.")
        except Exception:  # a tool's bug ends neither the call nor its node's link
            LOG.exception("a tool failed", tool=tool.name)
            return failed("Something went wrong. It was not done.")
        return result if len(dumped(result.output).encode()) <= MAX_OUTPUT_BYTES else _cut(result)


def failed(sentence: str, problems: list[str] | None = None) -> Result:
    """A failure as the agent reads it."""
    return Result({"error": sentence} | ({"problems": problems} if problems else {}), ok=False)


def dumped(output: Any) -> str:
    """As the model and the record get it, without NUL: PostgreSQL can't extract text that contains one from JSON."""
    text = json.dumps(output, ensure_ascii=False)
    return json.dumps(_without_nul(output), ensure_ascii=False) if "\\u0000" in text else text


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case dict():
            return {_without_nul(name): _without_nul(each) for name, each in value.items()}
        case list() | tuple():
            return [_without_nul(each) for each in value]
        case _:
            return value


def _arguments(text: str, schema: Schema) -> tuple[Mapping[str, Any], list[str]]:
    if len(text.encode()) > MAX_ARGUMENTS_BYTES:
        return {}, ["the arguments are too long"]
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}, ["the arguments are not JSON"]
    if not isinstance(arguments, dict):
        return {}, ["the arguments are not an object"]
    errors = sorted(customerschemas.errors(schema, arguments), key=lambda error: list(map(str, error.path)))
    return arguments, [f"{error.json_path}: {error.message}"[:300] for error in errors]


def _cut(result: Result) -> Result:
    text = dumped(result.output).encode()[:MAX_OUTPUT_BYTES].decode(errors="ignore")
    return Result({"cut": True, "text": text}, result.ok)
