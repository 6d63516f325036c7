"""A turn of an agent that is tried: its own instructions, its own tools, the model that answers texts; and nothing is done.

What only reads runs; of anything else the agent gets a result that says so.  Nothing of the dialogue is kept: whoever tries sends
the turns so far, and what the agent answers is theirs.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask

from control.base import prompting
from control.calls import rules as call_rules
from control.calls.tools import OUTBOUND
from control.clients.openai import ModelError, Responder
from control.executions.dialogue import Item
from control.executions.keeping import Called, Executions
from control.flows import stored
from control.flows import usecases as flow_usecases
from control.flows.choices import Choices
from control.flows.stored import usable
from control.studio import limits, rules
from control.studio.limits import Desk
from control.textagent import dialogue, prompt
from control.textagent import rules as text_rules
from control.textagent.dialogue import Turn
from control.tools import (
    BUILT_IN,
    Definition,
    FlowVersion,
    Policy,
    Registry,
    Result,
    Situation,
    TextTurn,
    Tool,
    ToolChannel,
    ToolContext,
    check,
    failed,
)
from control.usage import other as usage
from hum import jsonwire, validation
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, Unavailable
from hum.jsonwire import NotJson
from hum.settings import ControlSettings
from hum.telemetry import log
from hum.v1 import flows_pb2
from hum.v1 import studio_pb2 as pb
from storage import flows, identity
from storage.db import Db, Tx
from storage.flows import FlowRow
from storage.identity import OrganizationRow
from storage.text_runs import Counts, MaterialRow

LOG = log(__name__)
NO_THREAD = UUID(int=0)
SILENT = "The model did not answer in time, or not usably. Try again."


class Rehearsal(dialogue.Dialogue):
    """The dialogue with the model of one trial."""

    def __init__(
        self, db: Db, responder: Responder, registry: Registry, settings: ControlSettings, channel: ToolChannel
    ) -> None:
        super().__init__(db, responder, registry, settings.text_reply_segments, settings.studio_tokens)
        self._executions = Executions(db, registry, is_test=True)
        self.channel = channel
        self.runs_tools = False
        #: Which of the tool calls were run, by their place.
        self.run = set[int]()
        self.ended_by: str | None = None

    async def answer(self, turn: Turn) -> str:
        """What the agent says; empty if it has nothing to say.  Raises ModelError."""
        words = await self.words(turn)
        if self.channel is not ToolChannel.TEXT:
            return words
        if self.ended_by == rules.SILENCES:
            return ""
        return await self._fitting(turn, text_rules.plain(words)) if words else ""

    async def _result(self, work: Turn, called: Called) -> Result:
        offered = {tool.name: (tool, schema) for tool, schema in self._registry.offered(self.channel, work.situation)}
        if called.name not in offered:
            return failed("There is no such tool.")
        tool, schema = offered[called.name]
        problems = check(called.arguments_json, schema)[1]
        if problems:
            return failed("The arguments are not valid. Correct them and call the tool again, once.", problems)
        if self._may_run(tool):
            self.run.add(len(work.tool_calls))
            return await self._executions.run(self.channel, called, ToolContext(work.organization, work.situation))
        if tool.policy is Policy.APPROVAL:
            return Result({"trial": rules.WAITS.format(name=tool.name)})
        ends = tool.name in (rules.ENDS_TEXTS if self.channel is ToolChannel.TEXT else rules.ENDS_CALLS)
        if ends:
            self.ended_by = tool.name
        return Result({"trial": rules.NOT_RUN.format(name=tool.name)}, silences=ends)

    def _may_run(self, tool: Tool) -> bool:
        """Whether it only reads: what is ours, or, if whoever tries wants that, at the organization's own systems."""
        return tool.policy is Policy.READS and tool.run is not None and (tool.origin == BUILT_IN or self.runs_tools)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a trial is made from."""

    flow: FlowRow
    definition: Definition
    organization: OrganizationRow
    own_tools: tuple[Tool, ...]

    @property
    def channel(self) -> ToolChannel:
        is_text = self.definition.get("channel") == flows_pb2.Channel.Name(flows_pb2.CHANNEL_SMS)
        return ToolChannel.TEXT if is_text else ToolChannel.CALL


class Trials:
    def __init__(
        self, db: Db, responder: Responder, registry: Registry, choices: Choices, desk: Desk, settings: ControlSettings
    ) -> None:
        self._db, self._responder, self._registry = db, responder, registry
        self._choices, self._desk, self._settings = choices, desk, settings

    async def take(self, org: UUID, flow: UUID, request: pb.TryFlowRequest) -> pb.TryFlowResponse:
        """Raises NotFound, InvalidRequest, RateLimited, Unavailable."""
        if problems := rules.bad_turns(request.turns):
            raise InvalidRequest(problems)
        with self._desk.one(org):
            async with self._db.tenant(org) as tx:
                begun = await self._begin(tx, org, flow, request)
                if (greeting := _greeting(begun, request)) is None:
                    await limits.take(tx, limits.TRIAL, self._settings.studio_trials_per_day)
            if greeting is not None:
                return pb.TryFlowResponse(text=greeting)
            return await self._answered(org, begun, request)

    async def _begin(self, tx: Tx, org: UUID, id: UUID, request: pb.TryFlowRequest) -> _Begun:
        row = await flows.get(tx, id)
        flow = flow_usecases.flow_of(row.definition)
        if request.HasField("changes_json"):
            change, paths = _changes(request.changes_json)
            try:
                flow = await flow_usecases.as_changed(tx, row, change, paths, self._choices)
            except InvalidRequest as error:
                raise InvalidRequest(_renamed(error.fields)) from error
        definition = usable(flow_usecases.definition_of(flow))
        own_tools = await self._registry.own_tools(tx, org, row.id)
        return _Begun(row, definition, await identity.organization(tx, org), own_tools)

    async def _answered(self, org: UUID, begun: _Begun, request: pb.TryFlowRequest) -> pb.TryFlowResponse:
        turn = _turn(org, begun, request, now())
        rehearsal = Rehearsal(self._db, self._responder, self._registry, self._settings, begun.channel)
        rehearsal.runs_tools = request.run_tools
        try:
            async with asyncio.timeout(self._settings.studio_seconds):
                text = await rehearsal.answer(turn)
        except (ModelError, TimeoutError) as error:
            LOG.warning("a trial is not answered", flow=str(begun.flow.id), error=repr(error)[:300])
            raise Unavailable(SILENT) from error
        finally:  # also of a request that was given up
            async with self._db.tenant(org) as tx:
                await usage.tried(tx, org, begun.flow.id, turn.spent)
        return pb.TryFlowResponse(
            text=text,
            tool_calls=[_shown(each, was_run=n in rehearsal.run) for n, each in enumerate(turn.tool_calls)],
            ended_by=rehearsal.ended_by,
            instructions=turn.instruct(turn.situation.definition),
            tools=[tool.name for tool, _ in self._registry.offered(begun.channel, turn.situation)],
        )


def _changes(text: str) -> tuple[flows_pb2.Flow, list[str]]:
    """A flow's fields as a PATCH has them, and their names.  Raises InvalidRequest."""
    change, problems = flows_pb2.Flow(), list[FieldError]()
    try:
        paths = jsonwire.read_body(text.encode(), change, problems)
    except NotJson as error:
        raise InvalidRequest([FieldError("changes_json", str(error))]) from error
    as_update = flows_pb2.UpdateFlowRequest(flow=change, update_mask=FieldMask(paths=paths))
    found = [FieldError(f"flow.{each.field}", each.reason) for each in problems] or validation.check(as_update)
    if found:
        raise InvalidRequest(_renamed(found))
    return change, paths


def _renamed(fields: Sequence[FieldError]) -> list[FieldError]:
    """What is wrong with a flow, under the name that it has here."""
    return [FieldError(f"changes_json.{each.field.removeprefix('flow.')}", each.reason) for each in fields]


def _greeting(begun: _Begun, request: pb.TryFlowRequest) -> str | None:
    """What is said before the model is asked.  Raises InvalidRequest where nobody begins."""
    if request.turns:
        return None
    if begun.channel is ToolChannel.TEXT:
        raise InvalidRequest([FieldError("turns", "are missing: in texts the contact writes first")])
    return begun.definition.get("greeting", "").strip() or None


def _turn(org: UUID, begun: _Begun, request: pb.TryFlowRequest, at: datetime) -> Turn:
    definition, organization = begun.definition, begun.organization
    own_hours = definition.get("business_hours_json") or organization.business_hours_json
    is_open = stored.is_open(own_hours, organization.time_zone, at)
    caller = _caller(request.caller)

    def instruct(definition: Mapping[str, Any]) -> str:
        if begun.channel is ToolChannel.TEXT:
            config = text_rules.config(definition.get("sms_config_json"))
            return prompt.instructions(definition, config, _material(organization, caller), (), at, is_open=is_open)
        who = prompting.caller_context(caller)
        return call_rules.instructions(definition, organization.name, organization.time_zone, who, at, is_open=is_open)

    e164 = request.caller.phone_e164
    return Turn(
        organization=org,
        text=TextTurn(NO_THREAD, NO_THREAD),
        situation=Situation(
            definition,
            is_open,
            direction="outbound" if definition.get("kind") == OUTBOUND else "inbound",
            origin="text" if begun.channel is ToolChannel.TEXT else "phone",
            has_carrier=begun.channel is ToolChannel.CALL,
            from_e164=e164,
            contact_e164=e164,
            can_text=bool(e164),
            flow=FlowVersion(begun.flow.id, begun.flow.version),
            own_tools=begun.own_tools,
        ),
        instruct=instruct,
        items=_items(request.turns, begun.channel),
    )


def _caller(caller: pb.TrialCaller) -> dict[str, str | None]:
    return {
        "name": caller.name,
        "phone": caller.phone_e164,
        "company": caller.company,
        "tags": "",
        "notes": caller.notes,
        "attributes": caller.attributes_json,
    }


def _material(organization: OrganizationRow, caller: Mapping[str, Any]) -> MaterialRow:
    return MaterialRow(
        generation=0,
        organization=organization.name,
        time_zone=organization.time_zone,
        paused=None,
        business_hours_json=None,
        flow=None,
        contact={**caller, "tags": ()},
        blocked=False,
        counts=Counts(0, 0, 0),
        last_reason=None,
    )


def _items(turns: Sequence[pb.TrialTurn], channel: ToolChannel) -> list[Item]:
    """The dialogue as the model's input.  Whoever answers texts reads the thread alone."""
    if not turns:
        return [{"role": "developer", "content": rules.BEGINS}]
    items = list[Item]()
    for n, turn in enumerate(turns):
        if turn.speaker == pb.TRIAL_SPEAKER_CALLER:
            items.append({"role": "user", "content": turn.text})
            continue
        for m, made in enumerate(turn.tool_calls if channel is ToolChannel.CALL else ()):
            id = f"call_{n}_{m}"
            call = {"type": "function_call", "call_id": id, "name": made.name, "arguments": made.arguments or "{}"}
            items += [call, {"type": "function_call_output", "call_id": id, "output": made.result}]
        if turn.text.strip():
            items.append({"role": "assistant", "content": turn.text})
    return items


def _shown(kept: Mapping[str, Any], *, was_run: bool) -> pb.TrialToolCall:
    return pb.TrialToolCall(
        name=kept["name"],
        arguments=kept["arguments_json"],
        result=kept["result_json"],
        was_run=was_run,
        ok=kept["status"] == "ok",
        duration_ms=kept["duration_ms"],
    )
