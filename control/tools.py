"""The tools of agents, in one registry for calls, texts and events.

Features declare tools.  A tool is offered where its channels and `parameters` allow.  Its arguments are validated
before it runs, its time and its result are limited, and a failure becomes a sentence that the agent can say.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import Any
from uuid import UUID

from opentelemetry.trace import get_current_span
from prometheus_client import Histogram

from hum.clock import monotonic_ms
from hum.contract.errors import RequestRefused
from hum.json import customer_schemas
from hum.json import schemas as jsonschemas
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.v1.runtime_pb2 import RECORDING_SWITCH_UNSPECIFIED, RecordingSwitch
from hum.visibletext import visible
from storage.db import BUSY, UNAVAILABLE, Tx

LOG = log(__name__)
SECONDS = Histogram("hum_tool_seconds", "Seconds that a tool took", ["tool", "status"])
OWN_TOOLS = "(own)"
MAX_ARGUMENTS_BYTES = 64 << 10
MAX_OUTPUT_BYTES = 32 << 10

Schema = Mapping[str, Any]
Definition = Mapping[str, Any]
"""A flow's own fields, as stored."""


class ToolChannel(Enum):
    """The channel on which an agent acts."""

    CALL = auto()
    TEXT = auto()
    EVENT = auto()
    #: A call whose model leaves what is to be done to us, as tasks: it has the tool `delegate` alone, which has those of CALL.
    LIVE_CALL = auto()

    @property
    def stored(self) -> str:
        """The channel in the record of a tool's run."""
        return "call" if self is ToolChannel.LIVE_CALL else self.name.lower()


#: For tools that any agent may have.
EVERYWHERE = frozenset({ToolChannel.CALL, ToolChannel.TEXT, ToolChannel.EVENT})


class ToolPolicy(Enum):
    """Whether a tool may run without a person's approval."""

    ALLOWED = auto()
    #: Allowed, also in trials, since it only reads.
    READS = auto()
    #: A person must approve each use (`control.approvals`); the agent continues meanwhile, and gets the outcome later.
    APPROVAL = auto()


@dataclass(frozen=True, slots=True)
class ToolUnavailable:
    """Why an agent is not offered a tool: the setting or the fact that it lacks, for the agent and the record."""

    reason: str

    def __str__(self) -> str:
        return f"This tool is not available: {self.reason}."


SWITCHED_OFF = ToolUnavailable("the agent's `tools_json` switches it off")
NOT_LISTED = ToolUnavailable("the agent's `tools_json` does not list it")


@dataclass(frozen=True, slots=True)
class Bookable:
    """A service that can be booked, with the people of whom one can be wished for, by name."""

    id: UUID
    name: str
    people: Mapping[str, UUID]


@dataclass(frozen=True, slots=True)
class OrganizationTools:
    """What an organization has for a flow's agent: tools of its own, and services for those of HUM that book."""

    tools: "tuple[AgentTool, ...]" = ()
    bookable: tuple[Bookable, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """A version of a flow."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that decide which tools an agent is offered, and with which arguments.

    They are evaluated when a stream or a turn begins, and whenever a tool is run.  A conversation of texts has no
    carrier's call, and is inbound.
    """

    definition: Definition
    #: Whether it is within the flow's business hours now, also during a call that lasts past their end.
    is_open: bool = True
    direction: str = "inbound"
    origin: str = "phone"
    #: Whether a carrier has the call, and takes instructions for it.
    has_carrier: bool = True
    from_e164: str = ""  # empty or no number if withheld
    to_e164: str = ""
    transfers: int = 0  # of this call so far
    #: The other party's number; empty if it is withheld or may be spoofed.
    contact_e164: str = ""
    #: Whether the organization's number of the call can send texts.
    can_text: bool = False
    #: The flow of the definition.
    flow: FlowVersion | None = None
    #: Whether the phone network, or the text itself, vouches for that number.
    is_vouched_for: bool = False
    #: The organization's own tools for this flow's agent, besides those of features, and what can be booked.
    own_tools: OrganizationTools = field(default_factory=OrganizationTools)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The call, the turn in a conversation of texts, or the run for an event, for which a tool runs."""

    organization: UUID
    situation: Situation
    call_id: UUID | None = None
    turn: "TextTurn | None" = None
    #: The run for an event.
    event_run: UUID | None = None
    #: The row in which this execution is recorded.
    execution: UUID | None = None
    #: Nothing of what the tool gets and returns may be kept.
    off_record: bool = False

    @property
    def call(self) -> UUID:
        """The call, for a tool that only calls have."""
        assert self.call_id is not None, "a tool of calls ran in a text"
        return self.call_id


@dataclass(frozen=True, slots=True)
class TextTurn:
    """A turn in a conversation of texts, and the tools that had an effect in it so far."""

    run: UUID
    conversation: UUID
    done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A tool's result.  `output` becomes JSON for the model; the other fields are effects."""

    output: Any
    ok: bool = True
    #: The reason with which the call leaves its stream after the agent has finished speaking, for the step that the
    #: tool has stored as owed; or HANGS_UP.
    leaves: str | None = None
    #: The flow to which the call switches after the agent has finished speaking.
    switches_to: FlowVersion | None = None
    #: Keys to press as tones after the agent has finished speaking.
    digits: str | None = None
    #: In texts and for events: an effect of the tool when the turn or run ends, in the transaction that stores its
    #: outcome.  A turn that fails has no effect, and a turn that is retried has it once.
    at_end: "AtEnd | None" = None
    #: In texts: the agent writes nothing more, not even a reply.
    silences: bool = False


AtEnd = Callable[[Tx], Awaitable[None]]
Run = Callable[[ToolContext, Mapping[str, Any]], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a tool, for the record: its kind in `tool_runs`, and the row and version that define it.

    `mark`: changes when the tool's effect does.
    """

    kind: str
    id: UUID | None = None
    version: int | None = None
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.id or ''} {self.version or ''} {self.mark}".strip()


BUILT_IN = Origin("built_in")
#: The tool of LIVE_CALL.
DELEGATE = "delegate"
#: The call ends after the agent has finished speaking, unless the caller speaks before.
HANGS_UP = "hang_up"


@dataclass(frozen=True, slots=True)
class AgentTool:
    """A tool.  `parameters` returns the JSON Schema (2020-12) of its arguments, or why it is not offered.

    A tool without `run` is executed by the media process itself, even if control is unavailable: it pauses or resumes
    the recording if `recording` is set, else it ends the call.  `fixed`: arguments that the agent can't choose.
    """

    name: str
    description: str
    parameters: Callable[[Situation], Schema | ToolUnavailable]
    run: Run | None
    channels: frozenset[ToolChannel]
    timeout_ms: int
    policy: ToolPolicy = ToolPolicy.ALLOWED
    recording: RecordingSwitch.ValueType = RECORDING_SWITCH_UNSPECIFIED
    origin: Origin = BUILT_IN
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A request for approval of a tool call, with valid arguments."""

    tool: AgentTool
    schema: Schema
    arguments: Mapping[str, Any]
    context: ToolContext


Approver = Callable[[ApprovalRequest], Awaitable[Result]]
"""Asks a person for approval, and returns at once, with a result that tells the agent so."""
Source = Callable[[Tx, UUID, UUID], Awaitable[Sequence[AgentTool]]]
"""Returns an organization's own tools for a flow, given both.  The transaction may be the system's, which sees all tenants."""


Catalog = Callable[[Tx, UUID], Awaitable[Sequence[Bookable]]]
"""Returns the services of an organization that can be booked.  The transaction may be the system's."""


class Registry:
    """All tools of all features, and the sources of organizations' own tools.

    A name may have two tools, for example one for calls and one for texts.
    """

    def __init__(self) -> None:
        self._tools: list[AgentTool] = []
        self._sources: list[Source] = []
        self._approver: Approver | None = None
        self._catalog: Catalog | None = None

    def add(self, tools: Iterable[AgentTool]) -> None:
        """Add the tools of a feature."""
        for tool in tools:
            duplicates = [other for other in self._tools if other.name == tool.name and other.channels & tool.channels]
            assert not duplicates, f"two tools are called {tool.name}"
            self._tools.append(tool)

    def add_sources(self, sources: Iterable[Source]) -> None:
        """Add sources of organizations' own tools."""
        self._sources += sources

    def set_catalog(self, catalog: Catalog) -> None:
        """Set what knows which services can be booked."""
        assert self._catalog is None, "two features book"
        self._catalog = catalog

    def set_approver(self, approver: Approver) -> None:
        """Set the approver for tools that need a person's approval."""
        assert self._approver is None, "two features ask for approval"
        self._approver = approver

    async def own_tools(self, tx: Tx, organization: UUID, flow: UUID) -> OrganizationTools:
        """Return an organization's own tools for a flow's agent and what can be booked, for `Situation.own_tools`."""
        tools = tuple([tool for source in self._sources for tool in await source(tx, organization, flow)])
        return OrganizationTools(tools, tuple(await self._catalog(tx, organization)) if self._catalog else ())

    def is_taken(self, name: str) -> bool:
        """Tell whether a feature's tool has this name, on any channel."""
        return any(tool.name == name for tool in self._tools)

    def origin(self, channel: ToolChannel, name: str, situation: Situation) -> Origin | None:
        """Return the origin of the tool that an agent is offered by this name; None if there is none."""
        return next((tool.origin for tool, _ in self.offered(channel, situation) if tool.name == name), None)

    def offered(self, channel: ToolChannel, situation: Situation) -> list[tuple[AgentTool, Schema]]:
        """Return the tools that an agent is offered in this situation, with the schemas of their arguments.

        A feature's tool takes precedence over an organization's tool of the same name.
        """
        offered_tools: dict[str, tuple[AgentTool, Schema]] = {}
        choice = choices(situation.definition)
        for tool in (*self._tools, *situation.own_tools.tools):
            schema = self._offer(tool, situation, choice)
            if channel in tool.channels and not isinstance(schema, ToolUnavailable):
                offered_tools.setdefault(tool.name, (tool, schema))
        return list(offered_tools.values())

    def unavailable(self, channel: ToolChannel, situation: Situation) -> dict[str, ToolUnavailable]:
        """Return why the channel's other tools are not offered in this situation, by name."""
        choice = choices(situation.definition)
        reasons = {
            tool.name: reason
            for tool in (*self._tools, *situation.own_tools.tools)
            if channel in tool.channels and isinstance(reason := self._offer(tool, situation, choice), ToolUnavailable)
        }
        for tool, _ in self.offered(channel, situation):
            reasons.pop(tool.name, None)
        return reasons

    def built_in(self, channel: ToolChannel) -> set[str]:
        """Return the names of the features' tools of a channel, offered or not."""
        return {tool.name for tool in self._tools if channel in tool.channels}

    def _offer(self, tool: AgentTool, situation: Situation, choice: "ToolChoices") -> Schema | ToolUnavailable:
        """Return the schema of a tool's arguments, or why the agent is not offered it."""
        if tool.name in choice.off:
            return SWITCHED_OFF
        if tool not in self._tools and choice.listed is not None and tool.name not in choice.listed:
            return NOT_LISTED
        return tool.parameters(situation)

    async def run(self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext) -> Result:
        """Run a tool that the agent is offered within its time limit, or request approval; a failure is a result."""
        return await self._run(channel, name, arguments_json, context, is_approved=False)

    async def run_approved(self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext) -> Result:
        """Run a tool call that a person has approved, otherwise as `run`."""
        return await self._run(channel, name, arguments_json, context, is_approved=True)

    async def _run(
        self, channel: ToolChannel, name: str, arguments_json: str, context: ToolContext, *, is_approved: bool
    ) -> Result:
        offered = {tool.name: (tool, schema) for tool, schema in self.offered(channel, context.situation)}
        if name not in offered:
            reason = self.unavailable(channel, context.situation).get(name)
            return failed(str(reason) if reason else "There is no such tool.")
        tool, schema = offered[name]
        get_current_span().set_attribute("hum.tool", name)
        needs_approval = tool.policy is ToolPolicy.APPROVAL and not is_approved
        if tool.run is None or (needs_approval and self._approver is None):
            return failed("This needs a person's approval, and nobody can give it now.")
        arguments, problems = check(arguments_json, schema)
        if problems:
            return failed("The arguments are not valid. Correct them and call the tool again, once.", problems)
        began_ms = monotonic_ms()
        run = partial(self._request_approval, tool, schema) if needs_approval else tool.run
        result = await self._bounded(tool, run, context, arguments)
        # The names of organizations' tools would be an unlimited number of series.
        series = name if tool in self._tools else OWN_TOOLS
        SECONDS.labels(series, "ok" if result.ok else "failed").observe((monotonic_ms() - began_ms) / 1000)
        return result

    async def _request_approval(
        self, tool: AgentTool, schema: Schema, context: ToolContext, arguments: Mapping[str, Any]
    ) -> Result:
        assert self._approver is not None, "there is an approver"
        return await self._approver(ApprovalRequest(tool, schema, arguments, context))

    async def _bounded(self, tool: AgentTool, run: Run, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        try:
            async with asyncio.timeout(tool.timeout_ms / 1000):
                result = await run(context, arguments)
            return bounded(result)
        except TimeoutError:
            return failed("This took too long. It is not known whether it was done.")
        except RequestRefused as refusal:
            return failed(str(refusal))
        except (*UNAVAILABLE, *BUSY):
            return failed("This can't be done at the moment.")
        # A tool's bug must end neither the call nor the media process's link.
        except Exception:
            LOG.exception("a tool failed", tool=tool.name)
            return failed("Something went wrong. It is not known whether it was done.")


@dataclass(frozen=True, slots=True)
class ToolChoices:
    """A flow's choice of tools: those that it switches off, and the organization's own ones that it lists; None: all."""

    off: frozenset[str] = frozenset()
    listed: frozenset[str] | None = None


def choices(definition: Definition) -> ToolChoices:
    """Return a flow's choice of tools by its `tools_json`.

    Entries with `enabled: false` switch tools off, HUM's too.  The others list the organization's own tools; if there are
    only entries that switch off, no tool has to be listed.
    """
    entries = json.loads(definition.get("tools_json") or "null")
    if entries is None:
        return ToolChoices()
    off = frozenset(entry["name"] for entry in entries if entry.get("enabled") is False)
    listed = frozenset(entry["name"] for entry in entries if entry.get("enabled") is not False)
    return ToolChoices(off, listed if listed or not off else None)


def failed(sentence: str, problems: list[str] | None = None) -> Result:
    """Return a failed result with a sentence for the agent."""
    return Result({"error": sentence} | ({"problems": problems} if problems else {}), ok=False)


def check(text: str, schema: Schema) -> tuple[Mapping[str, Any], list[str]]:
    """Parse and validate arguments; return them and the problems."""
    if len(text.encode()) > MAX_ARGUMENTS_BYTES:
        return {}, ["the arguments are too long"]
    try:
        arguments = jsonschemas.parse(text or "{}")
    except (ValueError, RecursionError):
        return {}, ["the arguments are not JSON"]
    if not isinstance(arguments, dict):
        return {}, ["the arguments are not an object"]
    if jsonschemas.is_deep(arguments):
        return {}, [f"the arguments are nested deeper than {jsonschemas.RAW_JSON_DEPTH} levels"]
    errors = sorted(customer_schemas.errors(schema, arguments), key=lambda error: list(map(str, error.path)))
    return arguments, [f"{error.json_path}: {error.message}"[:300] for error in errors]


def bounded(result: Result) -> Result:
    """Return the result as the model and the record get it: without invisible characters, and cut and marked if it is too long.

    A server's or a caller's words may hide instructions in them, which a person who reads the record would not see.
    """
    text = dumped(result.output)
    if (seen := visible(text)) != text:
        result, text = replace(result, output=json.loads(seen)), seen
    encoded = text.encode()
    if len(encoded) <= MAX_OUTPUT_BYTES:
        return result
    return replace(result, output={"cut": True, "text": encoded[:MAX_OUTPUT_BYTES].decode(errors="ignore")})
