"""The prompts of a call's mailbox: played by the media plane, or spoken by the carrier while not all are rendered."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from control import jobs
from control.base.say import spoken
from control.flows import flowchecks as flow_rules
from control.flows import mailbox
from control.flows.choices import Choices
from control.flows.definitions import usable
from control.flows.mailbox import MailboxPrompt
from control.livecall.nextsteps import TakeMessage, encode
from hum.v1 import runtime_pb2 as pb
from storage import call_agents, calls, clips, flow_switches, voicemails
from storage.db import Tx

#: The clips besides the openings -> their prompts.
_ENDINGS = {"thanks": MailboxPrompt.THANKS, "goodbye": MailboxPrompt.GOODBYE, "apology": MailboxPrompt.APOLOGY}
#: The end reason of a mailbox's stream -> its clip.
_LAST = {"message_taken": "thanks", "no_message": "goodbye", "message_failed": "apology"}


class Mailboxes:
    """The mailboxes of calls, as the system, on behalf of the carrier and the media plane."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    async def prepare(self, tx: Tx, call: UUID, message: TakeMessage) -> pb.SayFirst | None:
        """Prepare a call for a mailbox stream; return what the carrier must say first, or None if all prompts are rendered.

        Missing prompts are rendered for later calls.
        """
        row = await call_agents.session(tx, call)
        if row is None:
            return None
        definition = usable(row.definition)
        texts = mailbox.openings(definition, message.why, again=await voicemails.has_parts(tx, call))
        all_texts = {*texts, *_endings(definition).values()}
        by_carrier = len(await self._rendered(tx, row.org_id, definition, all_texts)) < len(all_texts)
        await calls.set_next_step(tx, call, encode(TakeMessage(message.why, by_carrier)), due=True)
        if not by_carrier:
            return None
        if (flow := await flow_switches.current(tx, call)) is not None:
            await jobs.enqueue(tx, flow_rules.RENDER_CLIPS, row.org_id, flow)
        return pb.SayFirst(text=" ".join(texts), language=spoken(mailbox.language_of(texts, definition)))

    async def clips(
        self, tx: Tx, org: UUID, call: UUID, definition: Mapping[str, Any], message: TakeMessage
    ) -> list[pb.Clip]:
        """Return the clips of a mailbox's stream: the openings in order, then the endings; none if the carrier speaks."""
        if message.by_carrier:
            return []
        openings = mailbox.openings(definition, message.why, again=await voicemails.has_parts(tx, call))
        kinds = [*(("opening", text) for text in openings), *_endings(definition).items()]
        audio = await self._rendered(tx, org, definition, {text for _, text in kinds})
        return [pb.Clip(kind=kind, text=text, audio_ulaw=audio[text]) for kind, text in kinds if text in audio]

    async def parting(self, tx: Tx, call: UUID, message: TakeMessage, end_reason: str | None) -> pb.SayAndHangUp | None:
        """Return what the carrier says after the stream of a mailbox that had no clips, or None."""
        kind = _LAST.get(end_reason or "")
        row = await call_agents.session(tx, call) if kind and message.by_carrier else None
        if row is None or kind is None:
            return None
        definition = usable(row.definition)
        language = spoken(mailbox.language(definition))
        return pb.SayAndHangUp(text=_endings(definition)[kind], language=language)

    async def _rendered(
        self, tx: Tx, org: UUID, definition: Mapping[str, Any], texts: Collection[str]
    ) -> dict[str, bytes]:
        voice = self._choices.voice(definition)
        hashes = {clips.clip_hash(voice, text): text for text in texts}
        rendered = await clips.find_of(tx, org, list(hashes))
        return {hashes[hash]: audio for hash, audio in rendered.items()}


def _endings(definition: Mapping[str, Any]) -> dict[str, str]:
    return {kind: mailbox.line(which, definition) for kind, which in _ENDINGS.items()}
