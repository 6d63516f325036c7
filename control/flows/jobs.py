"""`render_clips`: renders the fixed sentences of a flow as audio, once for each voice and text."""

from uuid import UUID

from control.clients.openai import Speech
from control.flows import rules
from control.flows.choices import Choices
from hum.errors import NotFound
from storage import clips, flows
from storage.db import Db


async def render_clips(db: Db, speech: Speech, choices: Choices, org: UUID, flow: UUID) -> int:
    """Render the missing clips; return how many.  A deleted flow has none."""
    async with db.tenant(org) as tx:
        try:
            definition = (await flows.get(tx, flow)).definition
        except NotFound:
            return 0
        voice = choices.voice(definition)
        texts = {clips.clip_hash(voice, text): text for _, text in rules.clip_texts(definition)}
        missing = texts.keys() - (await clips.find(tx, list(texts))).keys()
    for hash in missing:
        audio = await speech.say(voice, texts[hash])
        async with db.tenant(org) as tx:
            await clips.store(tx, voice, texts[hash], audio)
    return len(missing)
