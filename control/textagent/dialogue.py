"""The dialogue with the model in one turn, until it has written a text that may be sent."""

from dataclasses import dataclass, replace
from uuid import UUID

from control.clients.openai import ModelError, Question, Responder
from control.executions import dialogue
from control.executions.dialogue import Work
from control.flows import smsconfig
from control.flows.definitions import usable
from control.textagent import prompt, turndecision
from control.texts import segments
from control.tools import FlowVersion, Registry, Result, TextTurn, ToolChannel, ToolContext
from storage import flows
from storage.db import Db

#: The tools after which no reply is needed; after any other the contact waits for one.
MAY_BE_ALL = frozenset({"assign_to_human", "close_conversation", "schedule_followup_sms"})


@dataclass(slots=True, kw_only=True)
class TextWork(Work):
    """The state of a turn in progress."""

    text: TextTurn
    #: The flow that answers from now on, if a tool has switched it.
    flow_id: UUID | None = None
    is_silenced: bool = False

    @property
    def config(self) -> smsconfig.Config:
        return smsconfig.config(self.situation.definition.get("sms_config_json"))

    @property
    def most_tool_calls(self) -> int:
        return self.config.max_tool_calls_per_turn

    @property
    def is_over(self) -> bool:
        return self.is_silenced

    def context(self) -> ToolContext:
        return ToolContext(self.organization, self.situation, turn=self.text)


class TextDialogue(dialogue.Dialogue[TextWork]):
    """The dialogue with the model, until it has written a text that may be sent."""

    channel = ToolChannel.TEXT

    def __init__(self, db: Db, responder: Responder, registry: Registry, reply_segments: int, most_tokens: int) -> None:
        super().__init__(db, responder, registry, most_tokens)
        self._reply_segments = reply_segments

    async def answer(self, turn: TextWork) -> str:
        """Return the reply; empty if the agent's tools need none.  Raises ModelError."""
        words = await self.words(turn)
        if turn.is_silenced:
            return ""
        if not words and not MAY_BE_ALL.intersection(turn.text.done):
            raise ModelError("the model wrote nothing")
        return await self._fit(turn, turndecision.plain(words))

    async def _follow(self, work: TextWork, name: str, result: Result) -> None:
        if result.ok:
            work.text = replace(work.text, done=(*work.text.done, name))
        work.is_silenced = work.is_silenced or result.silences
        if result.switches_to is not None:
            async with self._db.tenant(work.organization) as tx:
                flow = await flows.get(tx, result.switches_to.id)
                own = await self.own_tools(tx, work.organization, flow.id)
            work.flow_id = flow.id
            work.situation = replace(
                work.situation,
                definition=usable(flow.definition),
                flow=FlowVersion(flow.id, flow.version),
                own_tools=own,
            )

    async def _fit(self, turn: TextWork, text: str) -> str:
        """Return the text, shortened by the model if it is too long, and cut if that fails."""
        most = turn.config.max_reply_chars
        if turndecision.fits(text, most, self._reply_segments):
            return text
        complaint = prompt.TOO_LONG.format(chars=len(text), segments=segments.count(text), most=most)
        turn.items.append({"role": "assistant", "content": text})
        turn.items.append({"role": "developer", "content": complaint})
        question = Question(turn.instruct(turn.situation.definition), tuple(turn.items), (), False, self._most_tokens)
        try:
            reply = await self._responder.respond(question)
        except ModelError:
            return turndecision.cut(text, most, self._reply_segments)
        turn.spent.append(reply.spent)
        return turndecision.cut(turndecision.plain(reply.text) or text, most, self._reply_segments)
