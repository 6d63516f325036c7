"""The session of a stream that presents its token: the agent's instructions, clips and tools."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control.base import prompting
from control.base.wire import value
from control.calls import answeredby, callclock, calltask, instructions, unfinished
from control.calls.situation import situation_of
from control.flows import flowchecks as flow_rules
from control.flows.choices import Choices
from control.flows.definitions import profile, usable
from control.livecall.callerid import is_vouched_for
from control.livecall.nextsteps import TakeMessage, decode
from control.tools import Definition, FlowVersion, OrganizationTools, Registry, Situation, ToolChannel
from control.voicemail.mailboxprompts import Mailboxes
from hum import ids, secrets
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import call_agents, call_events, callmodels, calls, clips
from storage.call_agents import SessionRow
from storage.calls import SpentToken
from storage.db import Db, Tx

MAX_CALL_SECONDS = 1800
LIMIT_WARNING_SECONDS = 60
#: The clips that are only played at the beginning of a call.
OPENING = frozenset({"announcement", "greeting", "resumed"})
#: The caller takes a shorter gap for a pause.  Unfinished turns may have been reported half a second before the gap
#: began.
NOTICEABLE_GAP = timedelta(seconds=1.5)


@dataclass(frozen=True, slots=True)
class _History:
    """The turns (role, text) of earlier streams, oldest first, and when the last stream was lost during a turn."""

    turns: Sequence[tuple[str, str]] = ()
    interrupted_at: datetime | None = None


class Sessions:
    """The opening of calls' sessions."""

    def __init__(self, db: Db, settings: CallsSettings, tools: Registry) -> None:
        self._db, self._settings, self._tools = db, settings, tools
        self._choices = Choices.of(settings)
        self._mailboxes = Mailboxes(self._choices)

    async def open(self, request: pb.OpenSessionRequest) -> pb.OpenSessionResponse:
        """Spend a stream's token and return its session.

        Raises NotFound for a token that is spent, expired, or another call's.
        """
        async with self._db.system() as tx:
            token = secrets.token_hash(request.token)
            # A browser's call has no carrier's id, and sends its own.
            call = ids.parse(Kind.CALL, request.call_sid)
            call_sid = str(call) if call else request.call_sid
            spent = await calls.spend_token(tx, token, call_sid, request.stream_sid, request.node)
            row = await call_agents.session(tx, spent.id) if spent else None
            history = await _load_history(tx, spent) if spent else _History()
            if spent:
                await call_events.notify_listeners(tx, spent.id)
            due = decode(spent.due) if spent else None
            if spent and row and isinstance(due, TakeMessage):
                return await self._mailbox(tx, spent, row, due)
            own_tools = await self._tools.own_tools(tx, row.org_id, row.flow_id) if row else OrganizationTools()
            if spent and row:
                await callmodels.note(tx, spent.id, self._choices.model(row.definition))
        if spent is None or row is None:
            raise NotFound("The stream token is unknown, expired or already used.")
        situation = situation_of(row, now(), own_tools)
        flow = situation.definition
        session = await self._agent(row, situation, omitted=_omitted_clips(history.turns, self._gap(spent, history)))
        session.call_id = ids.show(Kind.CALL, spent.id)
        session.organization_id = ids.show(Kind.ORGANIZATION, spent.org_id)
        session.max_call_seconds = callclock.seconds_left(
            flow.get("max_call_seconds", MAX_CALL_SECONDS), row.answered_at, now()
        )
        session.limit_warning_seconds = flow.get("limit_warning_seconds", LIMIT_WARNING_SECONDS)
        session.announce_recording = bool(flow.get("announce_recording")) and not row.announced
        session.recording_enabled = bool(flow.get("recording_enabled"))
        session.recording_paused = spent.stream_number > 1 and row.recording_paused
        session.stream_number = spent.stream_number
        session.so_far.extend(_said(role, text) for role, text in history.turns)
        session.placed = row.direction == "outbound"
        if (machine := answeredby.for_machine(flow, row.answered_by)) is not None:
            session.machine.CopyFrom(machine)
        return session

    @staticmethod
    def _gap(spent: SpentToken, history: _History) -> timedelta | None:
        """Return how long the caller had no stream; None if unknown, as when the carrier noticed the loss late."""
        began_at = history.interrupted_at or spent.offered_at
        return None if spent.was_lost or began_at is None else now() - began_at

    async def _mailbox(
        self, tx: Tx, spent: SpentToken, row: SessionRow, message: TakeMessage
    ) -> pb.OpenSessionResponse:
        return pb.OpenSessionResponse(
            call_id=ids.show(Kind.CALL, spent.id),
            organization_id=ids.show(Kind.ORGANIZATION, spent.org_id),
            stream_number=spent.stream_number,
            clips=await self._mailboxes.clips(tx, spent.org_id, spent.id, usable(row.definition), message),
            mailbox=pb.Mailbox(),
        )

    async def of_flow(self, id: UUID, flow: FlowVersion) -> pb.SwitchFlow:
        """Return another flow's agent for a live call.  Raises NotFound."""
        async with self._db.system() as tx:
            row = await call_agents.session(tx, id, flow.id, flow.version)
            if row is None:
                raise NotFound("There is no such flow.")
            own_tools = await self._tools.own_tools(tx, row.org_id, row.flow_id)
        return pb.SwitchFlow(
            flow_id=ids.show(Kind.FLOW, flow.id),
            flow_version=flow.version,
            session=await self._agent(row, situation_of(row, now(), own_tools), omitted=OPENING),
        )

    async def task_instructions(self, id: UUID) -> str:
        """Return the instructions of who does the tasks of a live call's agent.  Raises NotFound."""
        async with self._db.system() as tx:
            row = await call_agents.session(tx, id)
        if row is None:
            raise NotFound("There is no such call.")
        situation = situation_of(row, now(), OrganizationTools())
        return _instructions(situation.definition, row, is_open=situation.is_open, manner=instructions.BEHIND_THE_VOICE)

    async def caller_context(self, id: UUID) -> str:
        """Return the current caller context for the agent of a live call.  Raises NotFound."""
        async with self._db.system() as tx:
            row = await call_agents.session(tx, id)
        if row is None:
            raise NotFound("There is no such call.")
        return prompting.caller_context(_contact(row), row.findings)

    async def _agent(self, row: SessionRow, situation: Situation, omitted: Collection[str]) -> pb.OpenSessionResponse:
        """Return an agent's configuration, for the first agent of a call and for one that takes it over."""
        flow = situation.definition
        voice, model = self._choices.voice(flow), self._choices.model(flow)
        channel, manner = ToolChannel.CALL, instructions.TAKES_TURNS
        if model in self._choices.live_models:
            channel, manner = ToolChannel.LIVE_CALL, instructions.voice_manner(self._abilities(situation))
        return pb.OpenSessionResponse(
            instructions=_instructions(flow, row, is_open=situation.is_open, manner=manner),
            caller_context=prompting.caller_context(_contact(row), row.findings),
            model=model,
            voice=voice,
            language=flow.get("language"),
            clips=await self._clips(row.org_id, voice, flow, omitted),
            turn_config_json=flow.get("turn_config_json", ""),
            idle_prompts_json=flow_rules.idle_prompts_json(flow),
            idle_end_seconds=flow.get("idle_end_seconds", 0),
            recording_rules_json=flow.get("recording_rules_json", ""),
            transcription_model=self._settings.transcribe_model,
            tools=self._offered(channel, situation),
            unavailable_tools=[
                pb.UnavailableTool(name=name, reason=str(reason))
                for name, reason in self._tools.unavailable(channel, situation).items()
            ],
        )

    async def _clips(self, org: UUID, voice: str, flow: Definition, omitted: Collection[str]) -> list[pb.Clip]:
        texts = [(kind, text) for kind, text in flow_rules.clip_texts(flow) if kind not in omitted]
        async with self._db.tenant(org) as tx:
            audio = await clips.find(tx, [clips.clip_hash(voice, text) for _, text in texts])
        return [
            pb.Clip(kind=kind, text=text, audio_ulaw=audio.get(clips.clip_hash(voice, text), b""))
            for kind, text in texts
        ]

    def _abilities(self, situation: Situation) -> list[str]:
        """Return what can be left to us: what the tools do, but those that the call carries out itself."""
        return [tool.description for tool, _ in self._tools.offered(ToolChannel.CALL, situation) if tool.run]

    def _offered(self, channel: ToolChannel, situation: Situation) -> list[pb.Tool]:
        """Return the tools of the situation.

        A tool without `run` is executed by the media process itself, even if control is unavailable.
        """
        return [
            pb.Tool(
                name=tool.name,
                description=tool.description,
                parameters_json=json.dumps(schema),
                timeout_ms=tool.timeout_ms,
                outcome=None if tool.run or tool.recording else pb.Outcome(hang_up=pb.HangUpNow()),
                recording=tool.recording,
            )
            for tool, schema in self._tools.offered(channel, situation)
        ]


def _omitted_clips(turns: Sequence[tuple[str, str]], gap: timedelta | None) -> frozenset[str]:
    """Return the opening clips to omit: the greeting once the call has turns, and in three cases the apology.

    There is no apology at a call's beginning, after a gap that the caller did not notice, and after a system turn,
    since the agent itself then says why the caller is back.
    """
    if not turns:
        return frozenset({"resumed"})
    is_short = gap is not None and gap < NOTICEABLE_GAP
    return frozenset({"greeting", "resumed"} if is_short or turns[-1][0] == "system" else {"greeting"})


def _said(role: str, text: str) -> pb.Said:
    if role == "hint":
        return pb.Said(role=calls_pb2.SPEAKER_SYSTEM, text=text, is_hint=True)
    if role == "news":
        return pb.Said(role=calls_pb2.SPEAKER_SYSTEM, text=text)
    return pb.Said(role=value(calls_pb2.Speaker, role), text=text)


def _instructions(flow: Definition, row: SessionRow, *, is_open: bool, manner: str) -> str:
    """Return the instructions, with the caller context at the end: only that may change during the call."""
    task = calltask.task(row.task_context, row.organization) if row.direction == "outbound" else ""
    caller_context = prompting.caller_context(_contact(row), row.findings)
    business = profile(row.organization, row.time_zone, row.organization_hours_json, row.identity_json)
    return instructions.instructions(flow, business, caller_context, now(), is_open=is_open, task=task, manner=manner)


async def _load_history(tx: Tx, spent: SpentToken) -> _History:
    if spent.stream_number == 1:
        return _History()
    interrupted_at = await unfinished.finalize(tx, spent.org_id, spent.id, spent.stream_number - 1, now())
    return _History(
        instructions.recent_turns(await call_agents.utterances(tx, spent.id, instructions.RECENT_TURNS)), interrupted_at
    )


def _contact(row: SessionRow) -> dict[str, str | None]:
    """Return the fields of the caller for the prompt's `# Caller Context`.

    Unless the network vouches for the caller ID, withhold the contact's details: the number may be spoofed.
    """
    is_known = row.contact_phone is not None
    if is_known and not is_vouched_for(row.caller_verification, row.direction, row.from_e164, row.to_e164):
        return {
            "phone": row.contact_phone,
            "warning": "the phone network does not vouch for this number; it may be forged",
        }
    return {
        "name": row.contact_name,
        "phone": row.contact_phone,
        "company": row.contact_company,
        "tags": ", ".join(row.contact_tags or ()),
        "notes": row.contact_notes,
        "attributes": row.contact_attributes,
    }
