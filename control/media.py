"""MediaService (proto/hum/v1/runtime.proto): the sessions and links of media processes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from control.boundary import Call
from control.bus import COMMANDS, DELTAS, Bus
from control.calls import rules, usecases
from control.flows import rules as flow_rules
from hum import ids, secrets
from hum.clock import now
from hum.errors import NotFound
from hum.ids import Kind
from hum.settings import Model
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from storage import calls, clips
from storage.db import Db

LOG = log(__name__)
MAX_CALL_SECONDS = 1800


class MediaServicer:
    def __init__(self, db: Db, bus: Bus, model: Model) -> None:
        self._db, self._bus, self._model = db, bus, model

    async def OpenSession(self, request: pb.OpenSessionRequest, _: Call) -> pb.OpenSessionResponse:
        """Raises NotFound for a token that is spent, late, or another call's."""
        async with self._db.system() as tx:
            token = secrets.token_hash(request.token)
            spent = await calls.spend_token(tx, token, request.call_sid, request.stream_sid, request.node)
            row = await calls.session(tx, spent.id) if spent else None
        if spent is None or row is None:
            raise NotFound("the token opens no stream")
        flow = row.definition
        contact = {
            "name": row.contact_name,
            "phone": row.contact_phone,
            "company": row.contact_company,
            "tags": ", ".join(row.contact_tags or ()),
            "notes": row.contact_notes,
        }
        voice = flow.get("voice") or self._model.default_voice
        texts = flow_rules.clip_texts(flow)
        async with self._db.tenant(spent.org_id) as tx:
            audio = await clips.find(tx, [clips.clip_hash(voice, text) for _, text in texts])
        return pb.OpenSessionResponse(
            call_id=ids.show(Kind.CALL, spent.id),
            organization_id=ids.show(Kind.ORGANIZATION, spent.org_id),
            instructions=rules.instructions(flow, row.organization, row.time_zone, contact, now()),
            model=flow.get("model") or self._model.realtime_model,
            voice=voice,
            language=flow.get("language"),
            clips=[
                pb.Clip(kind=kind, text=text, audio_ulaw=audio.get(clips.clip_hash(voice, text), b""))
                for kind, text in texts
            ],
            tools_json=flow.get("tools_json", ""),
            turn_config_json=flow.get("turn_config_json", ""),
            idle_prompts_json=flow.get("idle_prompts_json", ""),
            max_call_seconds=flow.get("max_call_seconds", MAX_CALL_SECONDS),
            announce_recording=bool(flow.get("announce_recording")),
            recording_enabled=bool(flow.get("recording_enabled")),
            transcription_model=self._model.transcribe_model,
            stream_number=spent.stream_number,
        )

    async def Link(self, ups: AsyncIterator[pb.LinkUp], call: Call) -> AsyncIterator[pb.LinkDown]:
        """Store what comes up and acknowledge it; pass down the commands for this node."""
        downs: asyncio.Queue[pb.LinkDown | None] = asyncio.Queue()
        node = call.node.name
        unsubscribe = self._bus.subscribe(COMMANDS, lambda payload: _command(payload, node, downs))
        reader = asyncio.create_task(self._read(ups, node, downs), name=f"link {node}")
        LOG.info("media link up", node=node)
        try:
            while (down := await downs.get()) is not None:
                yield down
            await reader  # its error, if it had one, is the link's
        finally:
            unsubscribe()
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
            LOG.info("media link down", node=node)

    async def _read(self, ups: AsyncIterator[pb.LinkUp], node: str, downs: "asyncio.Queue[pb.LinkDown | None]") -> None:
        try:
            async for up in ups:
                if up.WhichOneof("up") == "hello":
                    async with self._db.system() as tx:
                        stored = await calls.link_seq(tx, node)
                    downs.put_nowait(pb.LinkDown(acknowledged_seq=stored))
                    continue
                for delta in await usecases.apply_batch(self._db, node, up.batch):
                    await self._bus.publish(DELTAS, _delta(delta))
                downs.put_nowait(pb.LinkDown(acknowledged_seq=up.batch.seq))
        finally:
            downs.put_nowait(None)


def _delta(report: pb.Report) -> dict[str, Any]:
    return {"call": report.call_id, **usecases.facts_of(report.delta)}


def _command(payload: str, node: str, downs: "asyncio.Queue[pb.LinkDown | None]") -> None:
    told = json.loads(payload) if payload else {}
    if told.get("node") != node:
        return
    command = pb.CallCommand(call_id=told["call"])
    if told["command"] == "hang_up":
        command.hang_up.SetInParent()
    else:
        command.watch.on = bool(told["on"])
    downs.put_nowait(pb.LinkDown(command=command))
