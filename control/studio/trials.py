"""A trial turn of an agent: its own instructions and tools, with the model that answers texts, and without effects.

Tools that only read are run; any other returns a result that says it was not run.  The dialogue is not stored: the client sends all
turns so far, and gets the agent's answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask

from control.base import prompting, texttemplates
from control.calls import instructions
from control.calls.tools import OUTBOUND
from control.clients.openai import ModelError, Responder
from control.executions.dialogue import AnsweredCall, Item
from control.executions.runner import Executions, ToolRequest, json_without_secrets, name_of, redact_off_loop
from control.flows import contactwords, definitions, smsconfig
from control.flows import usecases as flow_usecases
from control.flows.choices import Choices
from control.flows.definitions import usable
from control.studio import limits, trialturns
from control.studio.limits import ConcurrencyLimit
from control.textagent import dialogue, prompt
from control.textagent import turndecision as text_rules
from control.textagent.dialogue import TextWork
from control.tools import (
    BUILT_IN,
    AgentTool,
    Definition,
    FlowVersion,
    OrganizationTools,
    Registry,
    Result,
    Situation,
    TextTurn,
    ToolChannel,
    ToolContext,
    ToolPolicy,
    check,
    failed,
)
from control.usage import otherentries as usage
from hum.clock import now
from hum.contract import validation, wire
from hum.contract.errors import FieldError, InvalidRequest, Unavailable
from hum.contract.wire import NotJson
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.settings import ControlSettings
from hum.v1 import flows_pb2
from hum.v1 import studio_pb2 as pb
from storage import flows, identity
from storage.db import Db, Tx
from storage.flows import FlowRow
from storage.identity import OrganizationRow
from storage.text_runs import TextRunCounts, TextRunMaterialRow

#: Tokens that the model may write in one step of a trial.
STUDIO_TOKENS = 2000

LOG = log(__name__)
NO_THREAD = UUID(int=0)
#: The longest arguments and result of a tool call that are shown, in characters.
SHOWN_CHARS = 8_000
SILENT = "The model did not answer in time, or not usably. Try again."


class Rehearsal(dialogue.TextDialogue):
    """The dialogue with the model in one trial."""

    def __init__(
        self, db: Db, responder: Responder, registry: Registry, settings: ControlSettings, channel: ToolChannel
    ) -> None:
        super().__init__(db, responder, registry, settings.text_reply_segments, STUDIO_TOKENS)
        self._executions = Executions(db, registry, is_test=True)
        self.channel = channel
        self.runs_tools = False
        #: The indexes of tool calls that were run.
        self.run = set[int]()
        self.ended_by: str | None = None

    async def answer(self, turn: TextWork) -> str:
        """Return what the agent says; may be empty.  Raises ModelError."""
        words = await self.words(turn)
        if self.channel is not ToolChannel.TEXT:
            return words
        if self.ended_by == trialturns.SILENCES:
            return ""
        return await self._fit(turn, text_rules.plain(words)) if words else ""

    async def _result(self, work: TextWork, request: ToolRequest) -> Result:
        offered = {tool.name: (tool, schema) for tool, schema in self._registry.offered(self.channel, work.situation)}
        if request.name not in offered:
            return failed("There is no such tool.")
        tool, schema = offered[request.name]
        problems = check(request.arguments_json, schema)[1]
        if problems:
            return failed("The arguments are not valid. Correct them and call the tool again, once.", problems)
        if self._may_run(tool):
            self.run.add(len(work.tool_calls))
            return await self._executions.run(self.channel, request, ToolContext(work.organization, work.situation))
        if tool.policy is ToolPolicy.APPROVAL:
            return Result({"trial": trialturns.WAITS.format(name=tool.name)})
        ends = tool.name in (trialturns.ENDS_TEXTS if self.channel is ToolChannel.TEXT else trialturns.ENDS_CALLS)
        if ends:
            self.ended_by = tool.name
        return Result({"trial": trialturns.NOT_RUN.format(name=tool.name)}, silences=ends)

    def _may_run(self, tool: AgentTool) -> bool:
        """Return whether a tool only reads: from HUM, or, if the client allows it, from the organization's systems."""
        return tool.policy is ToolPolicy.READS and tool.run is not None and (tool.origin == BUILT_IN or self.runs_tools)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The data of a trial."""

    flow: FlowRow
    definition: Definition
    organization: OrganizationRow
    own_tools: OrganizationTools

    @property
    def channel(self) -> ToolChannel:
        is_text = self.definition.get("channel") == flows_pb2.Channel.Name(flows_pb2.CHANNEL_SMS)
        return ToolChannel.TEXT if is_text else ToolChannel.CALL


class Trials:
    def __init__(
        self,
        db: Db,
        responder: Responder,
        registry: Registry,
        choices: Choices,
        concurrency: ConcurrencyLimit,
        settings: ControlSettings,
    ) -> None:
        self._db, self._responder, self._registry = db, responder, registry
        self._choices, self._concurrency, self._settings = choices, concurrency, settings

    async def run(self, org: UUID, flow: UUID, request: pb.TryFlowRequest) -> pb.TryFlowResponse:
        """Run a trial turn of a flow.  Raises NotFound, InvalidRequest, RateLimited, Unavailable."""
        if problems := trialturns.bad_turns(request.turns):
            raise InvalidRequest(problems)
        with self._concurrency.slot(org):
            async with self._db.tenant(org) as tx:
                trial = await self._begin(tx, org, flow, request)
                if (greeting := _greeting(trial, request)) is None:
                    await limits.count_request(tx, limits.TRIAL, self._settings.studio_trials_per_day)
            if greeting is not None:
                return pb.TryFlowResponse(text=greeting)
            return await self._answer(org, trial, request)

    async def _begin(self, tx: Tx, org: UUID, id: UUID, request: pb.TryFlowRequest) -> _Trial:
        """Load a flow with the request's changes.  Raises NotFound, InvalidRequest."""
        row = await flows.get(tx, id)
        flow = flow_usecases.flow_of(row.definition)
        if request.HasField("changes_json"):
            change, paths = _changes(request.changes_json)
            try:
                flow = await flow_usecases.as_changed(tx, row, change, paths, self._choices)
            except InvalidRequest as error:
                raise InvalidRequest(_renamed(error.fields)) from error
        own_tools = await self._registry.own_tools(tx, org, row.id)
        organization = await identity.organization(tx, org)
        values = _values(request.caller, organization)
        definition = contactwords.personal(usable(flow_usecases.definition_of(flow)), values)
        return _Trial(row, definition, organization, own_tools)

    async def _answer(self, org: UUID, trial: _Trial, request: pb.TryFlowRequest) -> pb.TryFlowResponse:
        turn = _turn(org, trial, request, now())
        rehearsal = Rehearsal(self._db, self._responder, self._registry, self._settings, trial.channel)
        rehearsal.runs_tools = request.run_tools
        try:
            async with asyncio.timeout(self._settings.studio_seconds):
                text = await rehearsal.answer(turn)
        except (ModelError, TimeoutError) as error:
            LOG.warning("could not answer a trial", flow=str(trial.flow.id), error=repr(error)[:300])
            raise Unavailable(SILENT) from error
        finally:  # also if the request is canceled
            async with self._db.tenant(org) as tx:
                await usage.record_trial(tx, org, trial.flow.id, turn.spent)
        return pb.TryFlowResponse(
            text=text,
            tool_calls=[await _tool_call(each, was_run=n in rehearsal.run) for n, each in enumerate(turn.tool_calls)],
            ended_by=rehearsal.ended_by,
            instructions=turn.instruct(turn.situation.definition),
            tools=[tool.name for tool, _ in self._registry.offered(trial.channel, turn.situation)],
        )


def _changes(text: str) -> tuple[flows_pb2.Flow, list[str]]:
    """Parse a flow's fields as in a PATCH; return them and their names.  Raises InvalidRequest."""
    change, problems = flows_pb2.Flow(), list[FieldError]()
    try:
        paths = wire.read_body(text.encode(), change, problems)
    except NotJson as error:
        raise InvalidRequest([FieldError("changes_json", str(error))]) from error
    as_update = flows_pb2.UpdateFlowRequest(flow=change, update_mask=FieldMask(paths=paths))
    errors = [FieldError(f"flow.{problem.field}", problem.reason) for problem in problems] or validation.check(
        as_update
    )
    if errors:
        raise InvalidRequest(_renamed(errors))
    return change, paths


def _renamed(fields: Sequence[FieldError]) -> list[FieldError]:
    """Rename the fields of a flow's errors to those of the request."""
    return [FieldError(f"changes_json.{error.field.removeprefix('flow.')}", error.reason) for error in fields]


def _greeting(trial: _Trial, request: pb.TryFlowRequest) -> str | None:
    """Return the fixed greeting if the call begins with it, else None.  Raises InvalidRequest for a text flow without turns."""
    if request.turns:
        return None
    if trial.channel is ToolChannel.TEXT:
        raise InvalidRequest([FieldError("turns", "are missing: in texts the contact writes first")])
    return trial.definition.get("greeting", "").strip() or None


def _turn(org: UUID, trial: _Trial, request: pb.TryFlowRequest, at: datetime) -> TextWork:
    definition, organization = trial.definition, trial.organization
    hours_json = definition.get("business_hours_json") or organization.business_hours_json
    is_open = definitions.is_open(hours_json, organization.time_zone, at)
    caller = _caller(request.caller)
    profile = definitions.profile(
        organization.name, organization.time_zone, organization.business_hours_json, organization.business_identity_json
    )

    def instruct(definition: Mapping[str, Any]) -> str:
        if trial.channel is ToolChannel.TEXT:
            config = smsconfig.config(definition.get("sms_config_json"))
            material = _material(organization, caller)
            return prompt.instructions(definition, config, profile, material, (), at, is_open=is_open)
        who = prompting.caller_context(caller)
        return instructions.instructions(definition, profile, who, at, is_open=is_open)

    e164 = request.caller.phone_e164
    return TextWork(
        organization=org,
        text=TextTurn(NO_THREAD, NO_THREAD),
        situation=Situation(
            definition,
            is_open,
            direction="outbound" if definition.get("kind") == OUTBOUND else "inbound",
            origin="text" if trial.channel is ToolChannel.TEXT else "phone",
            has_carrier=trial.channel is ToolChannel.CALL,
            from_e164=e164,
            contact_e164=e164,
            can_text=bool(e164),
            flow=FlowVersion(trial.flow.id, trial.flow.version),
            own_tools=trial.own_tools,
        ),
        instruct=instruct,
        items=_items(request.turns, trial.channel),
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


def _values(caller: pb.TrialCaller, organization: OrganizationRow) -> contactwords.Values:
    return texttemplates.values_of(
        name=caller.name,
        company=caller.company,
        email=None,
        phone=caller.phone_e164,
        organization=organization.name,
        number="",
    )


def _material(organization: OrganizationRow, caller: Mapping[str, Any]) -> TextRunMaterialRow:
    return TextRunMaterialRow(
        generation=0,
        organization=organization.name,
        time_zone=organization.time_zone,
        paused=None,
        business_hours_json=None,
        organization_hours_json=None,
        identity_json=None,
        flow=None,
        contact={**caller, "email": None, "tags": ()},
        blocked=False,
        counts=TextRunCounts(0, 0, 0),
        last_reason=None,
    )


def _items(turns: Sequence[pb.TrialTurn], channel: ToolChannel) -> list[Item]:
    """Convert the dialogue to the model's input.  A text agent sees no earlier tool calls."""
    if not turns:
        return [{"role": "developer", "content": trialturns.BEGINS}]
    items = list[Item]()
    for n, turn in enumerate(turns):
        if turn.speaker == pb.TRIAL_SPEAKER_CALLER:
            items.append({"role": "user", "content": turn.text})
            continue
        for m, tool_call in enumerate(turn.tool_calls if channel is ToolChannel.CALL else ()):
            id = f"call_{n}_{m}"
            call = {
                "type": "function_call",
                "call_id": id,
                "name": tool_call.name,
                "arguments": tool_call.arguments or "{}",
            }
            items += [call, {"type": "function_call_output", "call_id": id, "output": tool_call.result}]
        if turn.text.strip():
            items.append({"role": "assistant", "content": turn.text})
    return items


async def _tool_call(answered: AnsweredCall, *, was_run: bool) -> pb.TrialToolCall:
    call, result = answered.call, answered.result
    return pb.TrialToolCall(
        name=name_of(call.name),
        arguments=(await redact_off_loop(json_without_secrets, call.arguments_json.replace("\0", "")))[:SHOWN_CHARS],
        result=(await redact_off_loop(json_without_secrets, dumped(result.output)))[:SHOWN_CHARS],
        was_run=was_run,
        ok=result.ok,
        duration_ms=answered.took_ms,
    )
