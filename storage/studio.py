"""An organization's uses of the studio by day, and rendered previews of voices."""

from datetime import date, timedelta

from storage.db import Tx

# $3: the limit; returns no row once it is reached.
COUNT_USE = """
    INSERT INTO studio_uses AS u (org_id, kind, day, used) SELECT hum.org_id(), $1, $2, 1 WHERE $3::integer > 0
    ON CONFLICT (org_id, kind) DO UPDATE
       SET used = CASE WHEN u.day = $2 THEN u.used + 1 ELSE 1 END, day = $2
     WHERE u.day <> $2 OR u.used < $3
    RETURNING used
"""
USES = "SELECT kind, used FROM studio_uses WHERE org_id = hum.org_id() AND day = $1"
PREVIEW = "SELECT audio_ulaw FROM voice_previews WHERE hash = $1"
STORE_PREVIEW = """
    INSERT INTO voice_previews (org_id, hash, audio_ulaw) VALUES (hum.org_id(), $1, $2) ON CONFLICT DO NOTHING
"""
PURGE_PREVIEWS = """
    DELETE FROM voice_previews WHERE (org_id, hash) IN (
        SELECT org_id, hash FROM voice_previews WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2)
"""


async def count_use(tx: Tx, kind: str, day: date, limit: int) -> bool:
    """Count a use; return False if the day had `limit` of them already."""
    return await tx.fetchval(COUNT_USE, kind, day, limit) is not None


async def uses(tx: Tx, day: date) -> dict[str, int]:
    """Return how often each kind was used on a day, without unused kinds."""
    return {row["kind"]: row["used"] for row in await tx.fetch(USES, day)}


async def preview(tx: Tx, hash: bytes) -> bytes | None:
    """Return the audio (mu-law, 8 kHz) of a recently rendered sentence, or None."""
    audio = await tx.fetchval(PREVIEW, hash)
    return None if audio is None else bytes(audio)


async def store_preview(tx: Tx, hash: bytes, audio_ulaw: bytes) -> None:
    await tx.execute(STORE_PREVIEW, hash, audio_ulaw)


async def purge_previews(tx: Tx, age: timedelta, limit: int) -> None:
    """Purge previews older than `age`.  Runs as the system."""
    await tx.execute(PURGE_PREVIEWS, age, limit)
