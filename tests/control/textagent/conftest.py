"""A number with an sms flow, contacts that write to it, and a model that answers as a test says."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from control.base.egress import Policy
from control.clients.http import GuardedClient
from control.clients.openai import ModelReply, ModelToolCall, ModelUsage, Question
from control.crm.client import ConnectorClient
from control.crm.lookups import CrmLookups
from control.textagent.dialogue import TextDialogue
from control.textagent.stopping import stop_texting
from control.textagent.tools import TextTools
from control.textagent.turndecision import TurnLimits
from control.textagent.turns import Turns
from control.texts import segments, turns
from control.tools import Registry
from hum import ids
from hum.clock import now
from hum.network import parse_networks
from hum.secrets import Keyring
from hum.settings import ControlSettings
from storage import conversations, flows, messages
from storage.conversations import ConversationState
from storage.db import Db
from tests.control.crm.conftest import KEYS
from tests.control.texts.conftest import CONTACT, NUMBER, Texting, texting

Answer = str | BaseException | list[ModelToolCall] | Callable[[Question], ModelReply]
LIMITS = TurnLimits(turns_per_pair=200, turns_per_organization=5000, attempts=3, reply_segments=11, seconds=5)


def call(name: str, **arguments: Any) -> ModelToolCall:
    return ModelToolCall(f"call_{ids.new().hex}", name, json.dumps(arguments))


async def closed_now(desk: "Desk") -> datetime:
    """Let the organization be closed; when it opens."""
    opens = (now() + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    span = [[f"{opens:%H:%M}", f"{opens + timedelta(hours=1):%H:%M}"]]
    weekly = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), span)
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute("UPDATE organizations SET business_hours_json = $1", json.dumps({"weekly": weekly}))
    return opens


@dataclass
class Fake:
    """Answers with what is listed, in order, and then with `otherwise`; between question and answer it does `meanwhile`."""

    answers: list[Answer] = field(default_factory=list)
    otherwise: str = "Certainly."
    asked: list[Question] = field(default_factory=list)
    meanwhile: Callable[[], Any] | None = None
    text_model: str = "fake"

    async def respond(self, question: Question) -> ModelReply:
        self.asked.append(question)
        if self.meanwhile is not None:
            doing, self.meanwhile = self.meanwhile, None
            await doing()
        answer = self.answers.pop(0) if self.answers else self.otherwise
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            return ModelReply(answer, (), ModelUsage("fake", text_in=100, text_out=10))
        return (
            ModelReply("", answer, ModelUsage("fake", text_in=100, text_out=10))
            if isinstance(answer, list)
            else answer(question)
        )


@dataclass
class Desk:
    """One organization's texts."""

    db: Db
    org: UUID
    number: UUID
    flow: UUID
    model: Fake
    turns: Turns
    clock: datetime

    async def hear(self, body: str, contact_e164: str = CONTACT) -> UUID:
        """A contact writes; return the conversation."""
        async with self.db.tenant(self.org) as tx:
            thread = await self.thread(tx, contact_e164)
            sid = f"SM{ids.new().hex}"
            count = segments.count(body)
            await messages.receive(tx, ids.new(), self.org, thread.id, NUMBER, contact_e164, body, count, sid, [])
            await conversations.touch(tx, thread.id, now(), body, "inbound", opens=True)
            await turns.schedule(tx, thread, now() - timedelta(minutes=1))
        return thread.id

    async def thread(self, tx: Any, contact_e164: str = CONTACT) -> ConversationState:
        found, _ = await conversations.find_or_create(tx, ids.new(), self.org, self.number, NUMBER, contact_e164, None)
        return found

    async def take(self) -> list[str | None]:
        """Take up what is due, and do its jobs, each once."""
        await self.turns.start_due()
        return [await self.turns.turn(self.org, run) for run in await self.open_runs()]

    async def open_runs(self) -> list[UUID]:
        rows = await self.rows("SELECT id FROM text_runs WHERE finished_at IS NULL ORDER BY id")
        return [row["id"] for row in rows]

    async def rows(self, query: str, *values: Any) -> list[Any]:
        async with self.db.tenant(self.org) as tx:
            return list(await tx.fetch(query, *values))

    async def sent(self) -> list[str]:
        """What the AI has written, oldest first."""
        rows = await self.rows("SELECT body FROM messages WHERE direction = 'outbound' ORDER BY created_at")
        return [row["body"] for row in rows]

    async def run(self) -> Any:
        """The latest turn."""
        return (await self.rows("SELECT * FROM text_runs ORDER BY id DESC LIMIT 1"))[0]

    async def tools(self) -> list[Any]:
        """What the tools of the latest turn did, in order."""
        return await self.rows("SELECT * FROM tool_runs WHERE run_id = $1 ORDER BY id", (await self.run())["id"])

    async def configure(self, **definition: Any) -> None:
        async with self.db.tenant(self.org) as tx:
            before = await flows.get(tx, self.flow)
            await flows.change(tx, before, "sms", before.definition | definition)


@pytest.fixture
async def desk(texting: Texting) -> AsyncIterator[Desk]:
    flow, model = ids.new(), Fake()
    async with texting.db.tenant(texting.org) as tx:
        await flows.create(tx, flow, "sms", {"name": "Desk", "system_prompt": "You answer for the clinic."})
        await tx.execute("UPDATE numbers SET sms_flow_id = $1", flow)
    registry = Registry()
    registry.add([*TextTools(texting.db, 5000, 6).all(), *stop_texting(texting.db, 5000)])
    dialogue = TextDialogue(texting.db, model, registry, LIMITS.reply_segments, 1000)
    guarded = GuardedClient(Policy(parse_networks("127.0.0.0/8")))
    settings = ControlSettings(crm_text_seconds=2.0)
    texters = CrmLookups(texting.db, ConnectorClient(texting.db, guarded, Keyring.parse(KEYS), settings), settings)
    made = Turns(texting.db, model, dialogue, LIMITS, timedelta(minutes=5), texters.of_turn)
    yield Desk(texting.db, texting.org, texting.number, flow, model, made, now())
    await guarded.close()


__all__ = ["texting"]
