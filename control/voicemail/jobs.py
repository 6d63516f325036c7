"""What becomes of a message: it is kept, transcribed, and one day erased.  Each job may run twice, and finds nothing to do then."""

from collections.abc import Sequence
from uuid import UUID

from control import jobs
from control.calls.rules import AFTER_CALL
from control.calls.turns import without_nul
from control.clients.openai import ModelError, Transcriber
from control.retention.files import sweep_dropped
from control.usage import record as usage
from control.voicemail import files, rules
from hum import ids
from hum.errors import NotStoredYet
from hum.ids import Kind
from hum.objects.files import Files
from hum.telemetry import log
from storage import call_records, calls, dropped_recordings, voicemails
from storage.db import Db

LOG = log(__name__)
LANGUAGE_CHARS = 2  # ISO 639-1, which is what the model takes


async def keep(db: Db, store: Files, least_ms: int, org: UUID, call: UUID) -> bool:
    """Make a voicemail of the files that a call's mailbox has written; False if there is nothing to keep.

    Those of a media process that died count as far as they were written.
    """
    async with db.tenant(org) as tx:
        parts = await voicemails.parts(tx, call)
    if not parts:
        return False
    lasting = [(part.whole, await files.duration_ms(store, part)) for part in parts]
    worth = rules.worth_keeping([(whole, duration or 0) for whole, duration in lasting], least_ms)
    paths = [part.audio_path for part, is_kept in zip(parts, worth, strict=True) if is_kept]
    kept_ms = sum(duration or 0 for (_, duration), is_kept in zip(lasting, worth, strict=True) if is_kept)
    path = await _one_file(db, store, org, call, paths, kept_ms) if paths else None
    lasts_ms = rules.duration_ms(await store.size(path) or 0) if path else 0
    async with db.tenant(org) as tx:
        await calls.lock(tx, call)
        if path is None:
            # Not those that are gone: if they are found again, nobody has judged them.
            there = [part.audio_path for part, (_, lasts) in zip(parts, lasting, strict=True) if lasts is not None]
            await dropped_recordings.drop(tx, call, there)
            await voicemails.drop_parts(tx, call)
            await jobs.enqueue(tx, AFTER_CALL, org, call)  # its summary has waited
        else:
            id = await voicemails.put(tx, ids.new(), org, call, path, lasts_ms)
            if id is not None:
                await jobs.enqueue(tx, rules.TRANSCRIBE, org, id)
    if path is None:
        await sweep_dropped(db, store, len(parts))
    return path is not None


async def _one_file(db: Db, store: Files, org: UUID, call: UUID, paths: Sequence[str], total_ms: int) -> str:
    if len(paths) == 1:
        return paths[0]
    async with db.tenant(org) as tx:
        before = await voicemails.of_call(tx, call)
    is_joined = before is not None and before.audio_path not in paths
    if before is not None and is_joined and abs(before.duration_ms - total_ms) < len(paths):  # rounded down
        return before.audio_path  # joined by an earlier run
    return await files.join(store, paths, ids.show(Kind.ORGANIZATION, org), ids.show(Kind.CALL, call))


async def transcribe(db: Db, transcriber: Transcriber, store: Files, org: UUID, id: UUID) -> bool:
    """Write down what a voicemail says, once; False if that is not awaited.  Raises ModelError.

    However often this fails, the voicemail is there; the call's summary waits for the first attempt only.
    """
    async with db.tenant(org) as tx:
        audio = await voicemails.audio(tx, id)
    if audio is None or audio.transcribed or audio.deleted:
        return False
    try:
        sound = await store.load(audio.audio_path)
    except FileNotFoundError:
        if isinstance(missing := store.missing(audio.created_at), NotStoredYet):
            raise missing from None
        LOG.warning("a voicemail's file is gone", voicemail=ids.show(Kind.VOICEMAIL, id))
        await _failed(db, org, id)
        return False
    language = (audio.language or "").partition("-")[0].lower()
    try:
        heard = await transcriber.transcribe(sound, language if len(language) == LANGUAGE_CHARS else None)
    except ModelError:
        await _failed(db, org, id)
        raise
    async with db.tenant(org) as tx:
        state = await calls.lock(tx, audio.call_id)
        await usage.answered(tx, state, "voicemail", heard.spent)
        call = await voicemails.write_down(tx, org, id, audio.audio_path, without_nul(heard.text).strip())
        if call is not None:
            await call_records.index(tx, call)
            await jobs.enqueue(tx, AFTER_CALL, org, call)
    return call is not None


async def _failed(db: Db, org: UUID, id: UUID) -> None:
    async with db.tenant(org) as tx:
        call = await voicemails.fail(tx, id)
        if call is not None:
            await jobs.enqueue(tx, AFTER_CALL, org, call)


async def erase(db: Db, store: Files, org: UUID, id: UUID) -> bool:
    """Delete the row of a voicemail that was deleted, and then its files; False if that is done.

    The files are owed from then on: a sweep deletes those that can't be deleted now.
    """
    async with db.tenant(org) as tx:
        audio = await voicemails.audio(tx, id)
        if audio is None or not audio.deleted:
            return False
        parts = await voicemails.parts(tx, audio.call_id)
        paths = dict.fromkeys((audio.audio_path, *(part.audio_path for part in parts)))
        await dropped_recordings.drop(tx, audio.call_id, list(paths))
        await voicemails.forget(tx, id, audio.call_id)
    await sweep_dropped(db, store, len(paths))
    return True
