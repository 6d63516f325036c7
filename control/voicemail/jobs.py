"""The jobs of voicemail: create, transcribe, erase.  Each is idempotent."""

from collections.abc import Sequence
from uuid import UUID

from control import jobs
from control.clients.openai import ModelError, Transcriber
from control.livecall.callstatus import AFTER_CALL
from control.livecall.turns import without_nul
from control.retention.files import delete_dropped_files
from control.transfers import record
from control.usage import callentries as usage
from control.voicemail import files, messageparts
from hum import ids
from hum.contract.errors import NotStoredYet
from hum.ids import Kind
from hum.objects.files import Files
from hum.observe.logs import log
from storage import call_records, calls, dropped_recordings, voicemails
from storage.db import Db

LOG = log(__name__)
LANGUAGE_CHARS = 2  # ISO 639-1, as the model requires


async def create(db: Db, store: Files, least_ms: int, org: UUID, call: UUID) -> bool:
    """Create a voicemail from the files of a call's mailbox; return False if there is nothing to keep.

    A file of a crashed media process counts as far as it was written.
    """
    async with db.tenant(org) as tx:
        parts = await voicemails.parts(tx, call)
    if not parts:
        return False
    durations = [(part.whole, await files.duration_ms(store, part)) for part in parts]
    keeps = messageparts.worth_keeping([(whole, duration or 0) for whole, duration in durations], least_ms)
    paths = [part.audio_path for part, is_kept in zip(parts, keeps, strict=True) if is_kept]
    kept_ms = sum(duration or 0 for (_, duration), is_kept in zip(durations, keeps, strict=True) if is_kept)
    path = await _merge(db, store, org, call, paths, kept_ms) if paths else None
    lasts_ms = messageparts.duration_ms(await store.size(path) or 0) if path else 0
    async with db.tenant(org) as tx:
        state = await calls.lock(tx, call)
        if path is None:
            # Files that are gone are not dropped: if they reappear, they have not been judged.
            present = [
                part.audio_path
                for part, (_, duration_ms) in zip(parts, durations, strict=True)
                if duration_ms is not None
            ]
            await dropped_recordings.drop(tx, call, present)
            await voicemails.drop_parts(tx, call)
            if state.ended_at is not None:
                await record.mark_untaken(tx, state)
            await jobs.enqueue(tx, AFTER_CALL, org, call)  # the summary waits for it
        else:
            id = await voicemails.upsert(tx, ids.new(), org, call, path, lasts_ms)
            if id is not None:
                await jobs.enqueue(tx, messageparts.TRANSCRIBE, org, id)
    if path is None:
        await delete_dropped_files(db, store, len(parts))
    return path is not None


async def _merge(db: Db, store: Files, org: UUID, call: UUID, paths: Sequence[str], total_ms: int) -> str:
    if len(paths) == 1:
        return paths[0]
    async with db.tenant(org) as tx:
        before = await voicemails.of_call(tx, call)
    is_joined = before is not None and before.audio_path not in paths
    # The sum of the parts' durations, each rounded down, may be less than the whole.
    if before is not None and is_joined and abs(before.duration_ms - total_ms) < len(paths):
        return before.audio_path  # joined by an earlier run
    return await files.join(store, paths, ids.show(Kind.ORGANIZATION, org), ids.show(Kind.CALL, call))


async def transcribe(db: Db, transcriber: Transcriber, store: Files, org: UUID, id: UUID) -> bool:
    """Transcribe a voicemail, once; return False if it is transcribed, deleted or gone.  Raises ModelError.

    The voicemail exists even if this fails.  The call's summary waits for the first attempt only.
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
        transcript = await transcriber.transcribe(sound, language if len(language) == LANGUAGE_CHARS else None)
    except ModelError:
        await _failed(db, org, id)
        raise
    async with db.tenant(org) as tx:
        state = await calls.lock(tx, audio.call_id)
        await usage.record_request_usage(tx, state, "voicemail", transcript.spent)
        call = await voicemails.store_transcript(tx, org, id, audio.audio_path, without_nul(transcript.text).strip())
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
    """Delete the row of a deleted voicemail, and then its files; return False if that is done already.

    The files' deletion is owed from then on: a sweep retries failures.
    """
    async with db.tenant(org) as tx:
        audio = await voicemails.audio(tx, id)
        if audio is None or not audio.deleted:
            return False
        parts = await voicemails.parts(tx, audio.call_id)
        paths = dict.fromkeys((audio.audio_path, *(part.audio_path for part in parts)))
        await dropped_recordings.drop(tx, audio.call_id, list(paths))
        await voicemails.delete_rows(tx, id, audio.call_id)
    await delete_dropped_files(db, store, len(paths))
    return True
