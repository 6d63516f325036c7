"""Opens the session of a stream that presents its token: the agent's instructions, clips and tools."""

import json
from collections.abc import Sequence
from typing import Any

from control.base.wire import value
from control.calls import rules, under_way
from control.flows import rules as flow_rules
from control.flows.choices import Choices
from control.flows.stored import usable
from control.tools import Registry, ToolChannel
from hum import ids, secrets
from hum.clock import now
from hum.errors import NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import calls, clips
from storage.calls import SessionRow, SpentToken
from storage.db import Db, Tx

MAX_CALL_SECONDS = 1800


class Sessions:
    """Opens the sessions of calls."""

    def __init__(self, db: Db, settings: CallsSettings, tools: Registry) -> None:
        self._db, self._settings, self._tools = db, settings, tools
        self._choices = Choices.of(settings)

    async def open(self, request: pb.OpenSessionRequest) -> pb.OpenSessionResponse:
        """Spend the token.  Raises NotFound for one that is spent, expired, or another call's."""
        async with self._db.system() as tx:
            token = secrets.token_hash(request.token)
            spent = await calls.spend_token(tx, token, request.call_sid, request.stream_sid, request.node)
            row = await calls.session(tx, spent.id) if spent else None
            so_far = await _so_far(tx, spent) if spent else []
        if spent is None or row is None:
            raise NotFound("The stream token is unknown, expired or already used.")
        return await self._session(spent, row, so_far)

    async def _session(
        self, spent: SpentToken, row: SessionRow, so_far: Sequence[tuple[str, str]]
    ) -> pb.OpenSessionResponse:
        flow, settings = usable(row.definition), self._settings
        voice = self._choices.voice(flow)
        return pb.OpenSessionResponse(
            call_id=ids.show(Kind.CALL, spent.id),
            organization_id=ids.show(Kind.ORGANIZATION, spent.org_id),
            instructions=rules.instructions(flow, row.organization, row.time_zone, _contact(row), now()),
            model=self._choices.model(flow),
            voice=voice,
            language=flow.get("language"),
            clips=await self._clips(spent, voice, flow, left_out="greeting" if so_far else "resumed"),
            turn_config_json=flow.get("turn_config_json", ""),
            idle_prompts_json=flow.get("idle_prompts_json", ""),
            max_call_seconds=flow.get("max_call_seconds", MAX_CALL_SECONDS),
            announce_recording=bool(flow.get("announce_recording")) and not row.announced,
            recording_enabled=bool(flow.get("recording_enabled")),
            transcription_model=settings.transcribe_model,
            stream_number=spent.stream_number,
            tools=self._offered(flow),
            so_far=[pb.Said(role=value(calls_pb2.Speaker, role), text=text) for role, text in so_far],
        )

    async def _clips(self, spent: SpentToken, voice: str, flow: dict[str, Any], left_out: str) -> list[pb.Clip]:
        texts = [(kind, text) for kind, text in flow_rules.clip_texts(flow) if kind != left_out]
        async with self._db.tenant(spent.org_id) as tx:
            audio = await clips.find(tx, [clips.clip_hash(voice, text) for _, text in texts])
        return [
            pb.Clip(kind=kind, text=text, audio_ulaw=audio.get(clips.clip_hash(voice, text), b""))
            for kind, text in texts
        ]

    def _offered(self, flow: dict[str, Any]) -> list[pb.Tool]:
        """A tool without `run` ends the call: the media process does that itself, even when control is unreachable."""
        return [
            pb.Tool(
                name=tool.name,
                description=tool.description,
                parameters_json=json.dumps(schema),
                timeout_ms=tool.timeout_ms,
                outcome=None if tool.run else pb.Outcome(hang_up=pb.HangUpNow()),
            )
            for tool, schema in self._tools.offered(ToolChannel.CALL, flow)
        ]


async def _so_far(tx: Tx, spent: SpentToken) -> Sequence[tuple[str, str]]:
    """What was said in the call's earlier streams (role, text), oldest first."""
    if spent.stream_number == 1:
        return []
    await under_way.settle(tx, spent.org_id, spent.id, spent.stream_number - 1, now())
    return rules.recent_turns(await calls.heard(tx, spent.id, rules.RECENT_TURNS))


def _contact(row: SessionRow) -> dict[str, str | None]:
    """The caller, as the prompt's `# Caller Context` shows it.  Whoever comes with another's number learns nothing of theirs."""
    if row.caller_verification == "failed":
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
    }
