"""The tools of agents: one registry for calls, texts and events.

A feature declares its tools; a tool is offered where its channels and its `parameters` allow; its arguments are checked
before it runs, its time and its result are bounded, and a failure is a sentence that the agent can say.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import Any
from uuid import UUID

from opentelemetry.trace import get_current_span
from prometheus_client import Histogram

from hum import customerschemas, jsonschemas
from hum.clock import monotonic_ms
from hum.errors import Refused
from hum.telemetry import log
from hum.v1.runtime_pb2 import RECORDING_SWITCH_UNSPECIFIED, RecordingSwitch
from storage.db import AWAY, BUSY, Tx

LOG = log(__name__)
SECONDS = Histogram("hum_tool_seconds", "Seconds that a tool took", ["tool", "status"])
OWN = "(own)"
MAX_ARGUMENTS_BYTES = 64 << 10
MAX_OUTPUT_BYTES = 32 << 10

Schema = Mapping[str, Any]
Definition = Mapping[str, Any]
"""A flow's own fields, as storage keeps them."""


class ToolChannel(Enum):
    """Where an agent acts."""

    CALL = auto()
    TEXT = auto()
    EVENT = auto()


class Policy(Enum):
    """Whether a tool may run without asking."""

    ALLOWED = auto()
    #: It may anyway, for it changes nothing: not even in a trial.
    READS = auto()
    #: A person must approve each use (`control.approvals`); the agent goes on meanwhile, and is told what came of it.
    APPROVAL = auto()


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """A flow, as it was at one version."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides which tools an agent is offered, and with which arguments: evaluated when a stream or a turn begins, and
    again whenever a tool is run.  A conversation of texts has no carrier's call, and is inbound.
    """

    definition: Definition
    is_open: bool = True  # within the flow's business hours; false in a call that goes on after they end
    direction: str = "inbound"
    origin: str = "phone"
    #: A carrier has the call, which may be told what to do with it.
    has_carrier: bool = True
    from_e164: str = ""  # empty, or no number, if it is withheld
    to_e164: str = ""
    transfers: int = 0  # how often it was transferred
    #: Whoever is on the line or writes, by a number that is theirs: empty if it is withheld, or may be forged.
    contact_e164: str = ""
    #: The call's number of ours can text.
    can_text: bool = False
    #: Whose definition it is.
    flow: FlowVersion | None = None
    #: What the organization itself lets this flow's agent use, besides what features provide for every agent.
    own_tools: "tuple[Tool, ...]" = ()


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The call, the turn in a conversation of texts, or the run for an event, that a tool runs for."""

    organization: UUID
    situation: Situation
    call_id: UUID | None = None
    turn: "TextTurn | None" = None
    #: The run for an event.
    event_run: UUID | None = None
    #: Of the row that this execution is kept in.
    execution: UUID | None = None

    @property
    def call(self) -> UUID:
        """The call, for a tool that only calls have."""
        assert self.call_id is not None, "a tool of calls ran in a text"
        return self.call_id


@dataclass(frozen=True, slots=True)
class TextTurn:
    """A turn in a conversation of texts, and the tools that did something in it so far."""

    run: UUID
    conversation: UUID
    done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A tool's result.  `output` becomes JSON for the model; the rest is what happens next."""

    output: Any
    ok: bool = True
    #: Set: once the agent's last words were heard, the call leaves its stream for what the tool has stored as owed; the
    #: reason that the stream ends with.
    leaves: str | None = None
    #: Set: once the agent's last words were heard, this flow's agent has the call.
    switches_to: FlowVersion | None = None
    #: Set: these keys are pressed as tones, after what the agent is saying.
    digits: str | None = None
    #: Set, in texts and for events: what is done for the agent when its turn or run ends, in the one transaction that also writes
    #: what it wrote.  A turn that comes to nothing does nothing of it, and a turn that is begun again does it once.
    at_end: "AtEnd | None" = None
    #: Set, in texts: the agent says nothing more, not even an answer.
    silences: bool = False


AtEnd = Callable[[Tx], Awaitable[None]]
Run = Callable[[ToolContext, Mapping[str, Any]], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose tool it is, for the record: its kind as `tool_runs` has it, and the row and version that it was made from.

    `mark`: another one, if it would do something else.
    """

    kind: str
    id: UUID | None = None
    version: int | None = None
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.id or ''} {self.version or ''} {self.mark}".strip()


BUILT_IN = Origin("built_in")


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` makes the JSON Schema (2020-12) of the arguments; None: in this situation the tool is not offered.

    A tool without `run` is the media process's own, whether or not control is reachable: it pauses or resumes the recording
    if `recording` says so, else it ends the call.  `fixed`: arguments that are set, and not the agent's.
    """

    name: str
    description: str
    parameters: Callable[[Situation], Schema | None]
    run: Run | None
    channels: frozenset[ToolChannel]
    timeout_ms: int
    policy: Policy = Policy.ALLOWED
    recording: RecordingSwitch.ValueType = RECORDING_SWITCH_UNSPECIFIED
    origin: Origin = BUILT_IN
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an agent may not do alone: arguments that are valid by the schema."""

    tool: Tool
    schema: Schema
    arguments: Mapping[str, Any]
    context: ToolContext


Approver = Callable[[Asked], Awaitable[Result]]
"""Asks a person, and returns at once what the agent is told of that."""
Source = Callable[[Tx, UUID, UUID], Awaitable[Sequence[Tool]]]
"""The tools that an organization made for a flow, given both.  The transaction may be the system's, which sees all tenants."""


class Registry:
    """All tools of all features, and where organizations' own come from.  What one name means on calls and in texts may be
    carried out in two ways, by two tools.
    """

    def __init__(self) -> None:
        self._tools: list[Tool] = []
        self._sources: list[Source] = []
        self._approver: Approver | None = None

    def add(self, tools: Iterable[Tool]) -> None:
        for tool in tools:
            others = [each for each in self._tools if each.name == tool.name and each.channels & tool.channels]
            assert not others, f"two tools are called {tool.name}"
            self._tools.append(tool)

    def add_sources(self, sources: Iterable[Source]) -> None:
        self._sources += sources

    def ask_through(self, approver: Approver) -> None:
        """Tools that need a person's approval get it there."""
        assert self._approver is None, "two features ask for approval"
        self._approver = approver

    async def own_tools(self, tx: Tx, organization: UUID, flow: UUID) -> tuple[Tool, ...]:
        """For a situation's `own_tools`: what this organization lets this flow's agent use."""
        return tuple([tool for source in self._sources for tool in await source(tx, organization, flow)])

    def is_taken(self, name: str) -> bool:
        """Whether one of ours is called so, on whatever channel."""
        return any(tool.name == name for tool in self._tools)

    def origin(self, channel: ToolChannel, name: str, situation: Situation) -> Origin | None:
        """Whose tool an agent means by a name there and then; None if it has none of that name."""
        return next((tool.origin for tool, _ in self.offered(channel, situation) if tool.name == name), None)

    def offered(self, channel: ToolChannel, situation: Situation) -> list[tuple[Tool, Schema]]:
        """The tools that an agent may use there and then, with the schemas of their arguments.

        Of two with one name the first counts: nothing that an organization made takes the place of one of ours.
        """
        able: dict[str, tuple[Tool, Schema]] = {}
        for tool in (*self._tools, *approved(situation)):
            if channel in tool.channels and (schema := tool.parameters(situation)) is not None:
                able.setdefault(tool.name, (tool, schema))
        return list(able.values())

    async def run(self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext) -> Result:
        """Run a tool that the agent may use, within its time, or ask a person whether it may.  A failure is a result."""
        return await self._run(channel, name, arguments_json, context, is_approved=False)

    async def run_approved(self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext) -> Result:
        """As `run`, for what a person has approved."""
        return await self._run(channel, name, arguments_json, context, is_approved=True)

    async def _run(
        self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext, *, is_approved: bool
    ) -> Result:
        offered = {tool.name: (tool, schema) for tool, schema in self.offered(channel, context.situation)}
        if name not in offered:
            return failed("There is no such tool.")
        tool, schema = offered[name]
        get_current_span().set_attribute("hum.tool", name)
        asks = tool.policy is Policy.APPROVAL and not is_approved
        if tool.run is None or (asks and self._approver is None):
            return failed("This needs a person's approval, and nobody can give it now.")
        arguments, problems = check(arguments_json, schema)
        if problems:
            return failed("The arguments are not valid. Correct them and call the tool again, once.", problems)
        began_ms = monotonic_ms()
        run = partial(self._ask, tool, schema) if asks else tool.run
        result = await self._bounded(tool, run, context, arguments)
        series = name if tool in self._tools else OWN  # organizations' names would be series without end
        SECONDS.labels(series, "ok" if result.ok else "failed").observe((monotonic_ms() - began_ms) / 1000)
        return result

    async def _ask(self, tool: Tool, schema: Schema, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        assert self._approver is not None, "somebody can be asked"
        return await self._approver(Asked(tool, schema, arguments, context))

    async def _bounded(self, tool: Tool, run: Run, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        try:
            async with asyncio.timeout(tool.timeout_ms / 1000):
                result = await run(context, arguments)
            return bounded(result)
        except TimeoutError:
            return failed("This took too long. It is not known whether it was done.")
        except Refused as refusal:
            return failed(str(refusal))
        except (*AWAY, *BUSY):
            return failed("This can't be done at the moment.")
        except Exception:  # a tool's bug ends neither the call nor its node's link
            LOG.exception("a tool failed", tool=tool.name)
            return failed("Something went wrong. It is not known whether it was done.")


def approved(situation: Situation) -> Sequence[Tool]:
    """Which of the organization's own tools a flow lets its agent have: all that are bound, or of these the ones that its
    `tools_json` names.
    """
    listed = situation.definition.get("tools_json")
    if listed is None:
        return situation.own_tools
    names = {each["name"] for each in json.loads(listed)}
    return [tool for tool in situation.own_tools if tool.name in names]


def failed(sentence: str, problems: list[str] | None = None) -> Result:
    """A failure as the agent reads it."""
    return Result({"error": sentence} | ({"problems": problems} if problems else {}), ok=False)


def dumped(output: Any) -> str:
    """As the model and the record get it.  What PostgreSQL's JSON can't hold is replaced: NUL, half of a surrogate pair, a
    number that is none.
    """
    with suppress(ValueError):  # which that is, also of the encoding
        text = json.dumps(output, ensure_ascii=False, allow_nan=False)
        text.encode()
        if "\\u0000" not in text:
            return text
    return json.dumps(_storable(output), ensure_ascii=False, allow_nan=False)


def _storable(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode(errors="replace").decode()
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {_storable(name): _storable(each) for name, each in value.items()}
        case list() | tuple():
            return [_storable(each) for each in value]
        case _:
            return value


def check(text: str, schema: Schema) -> tuple[Mapping[str, Any], list[str]]:
    """Arguments, and what is wrong with them by the schema."""
    if len(text.encode()) > MAX_ARGUMENTS_BYTES:
        return {}, ["the arguments are too long"]
    try:
        arguments = jsonschemas.parsed(text or "{}")
    except (ValueError, RecursionError):
        return {}, ["the arguments are not JSON"]
    if not isinstance(arguments, dict):
        return {}, ["the arguments are not an object"]
    errors = sorted(customerschemas.errors(schema, arguments), key=lambda error: list(map(str, error.path)))
    return arguments, [f"{error.json_path}: {error.message}"[:300] for error in errors]


def bounded(result: Result) -> Result:
    """A result as the model and the record get it: cut, and marked, if it is too long."""
    whole = dumped(result.output).encode()
    if len(whole) <= MAX_OUTPUT_BYTES:
        return result
    return replace(result, output={"cut": True, "text": whole[:MAX_OUTPUT_BYTES].decode(errors="ignore")})
