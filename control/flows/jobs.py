"""`render_clips`: renders the fixed sentences of a flow as audio, once for each voice and text."""

from uuid import UUID

from control.clients.openai import Speech
from control.flows import rules
from control.flows.choices import Choices
from control.flows.stored import usable
from control.usage import other as usage
from control.voicemail import sentences as mailbox
from hum.errors import NotFound
from storage import clips, flows
from storage.db import Db


async def render_clips(db: Db, speech: Speech, choices: Choices, org: UUID, flow: UUID) -> int:
    """Render the missing clips; return how many.  A deleted flow has none."""
    async with db.tenant(org) as tx:
        try:
            definition = usable((await flows.get(tx, flow)).definition)
        except NotFound:
            return 0
        voice = choices.voice(definition)
        sentences = [*(text for _, text in rules.clip_texts(definition)), *mailbox.texts(definition)]
        texts = {clips.clip_hash(voice, text): text for text in sentences}
        rendered = await clips.find(tx, list(texts))
    missing = [hash for hash in texts if hash not in rendered]  # in order: what a call begins with is needed first
    for hash in missing:
        audio = await speech.say(voice, texts[hash])
        async with db.tenant(org) as tx:
            await clips.store(tx, voice, texts[hash], audio)
            await usage.spoken(tx, org, flow, speech.speech_model, len(audio))
    return len(missing)
