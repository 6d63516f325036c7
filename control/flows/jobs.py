"""The job `render_clips`: renders a flow's prompts as audio, once per voice and text."""

from datetime import UTC, datetime
from uuid import UUID

from control.base import days
from control.clients.openai import Synthesizer
from control.flows import contactwords, flowchecks, mailbox
from control.flows.choices import Choices
from control.flows.definitions import usable
from control.usage import otherentries as usage
from hum.clock import now
from hum.contract.errors import NotFound
from storage import clips, flows, identity, studio
from storage.db import Db

KIND = "clip"


class NoMoreToday(Exception):  # noqa: N818 - names the event
    """The organization's daily limit of rendered prompts is reached; until it resets, the model speaks the others."""

    def __init__(self, most_a_day: int, at: datetime) -> None:
        super().__init__(f"{most_a_day} sentences were rendered for the organization today, which is the limit")
        #: The worker retries the job after this delay: when the next day begins.
        self.retry_after_seconds = float(days.seconds_left(at))


async def render_clips(db: Db, speech: Synthesizer, choices: Choices, most_a_day: int, org: UUID, flow: UUID) -> int:
    """Render a flow's missing clips; return how many: 0 for a deleted flow.  Raises NoMoreToday."""
    async with db.tenant(org) as tx:
        try:
            stored = usable((await flows.get(tx, flow)).definition)
        except NotFound:
            return 0
        # To a contact that is known, the model says its greeting.
        definition = contactwords.personal(stored, {"org.name": (await identity.organization(tx, org)).name})
        voice = choices.voice(definition)
        sentences = [*(text for _, text in flowchecks.clip_texts(definition)), *mailbox.texts(definition)]
        texts = {clips.clip_hash(voice, text): text for text in sentences}
        rendered = await clips.find(tx, list(texts))
    # In order: a call needs those of its start first.
    missing = [hash for hash in texts if hash not in rendered]
    for hash in missing:
        await _count(db, org, most_a_day)
        audio = await speech.synthesize(voice, texts[hash])
        async with db.tenant(org) as tx:
            await clips.store(tx, voice, texts[hash], audio)
            await usage.record_speech(tx, org, flow, speech.speech_model, len(audio))
    return len(missing)


async def _count(db: Db, org: UUID, most_a_day: int) -> None:
    at = now().astimezone(UTC)
    async with db.tenant(org) as tx:
        if not await studio.count_use(tx, KIND, at.date(), most_a_day):
            raise NoMoreToday(most_a_day, at)
