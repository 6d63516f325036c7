"""What an organization has tried today, and the sentences that it listened to."""

from datetime import date, timedelta

from storage.db import Tx

# $3: how often at most; nothing comes back once that is reached.
TAKE = """
    INSERT INTO studio_uses AS u (org_id, kind, day, used) SELECT hum.org_id(), $1, $2, 1 WHERE $3::integer > 0
    ON CONFLICT (org_id, kind) DO UPDATE
       SET used = CASE WHEN u.day = $2 THEN u.used + 1 ELSE 1 END, day = $2
     WHERE u.day <> $2 OR u.used < $3
    RETURNING used
"""
USED = "SELECT kind, used FROM studio_uses WHERE org_id = hum.org_id() AND day = $1"
PREVIEW = "SELECT audio_ulaw FROM voice_previews WHERE hash = $1"
KEEP = """
    INSERT INTO voice_previews (org_id, hash, audio_ulaw) VALUES (hum.org_id(), $1, $2) ON CONFLICT DO NOTHING
"""
FORGET = """
    DELETE FROM voice_previews WHERE (org_id, hash) IN (
        SELECT org_id, hash FROM voice_previews WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2)
"""


async def take(tx: Tx, kind: str, day: date, most: int) -> bool:
    """Count one more use of a day; False if there were `most` of them already."""
    return await tx.fetchval(TAKE, kind, day, most) is not None


async def used(tx: Tx, day: date) -> dict[str, int]:
    """How often each kind was used on a day; without those that were not."""
    return {row["kind"]: row["used"] for row in await tx.fetch(USED, day)}


async def preview(tx: Tx, hash: bytes) -> bytes | None:
    """The audio (mu-law, 8 kHz) of a sentence that was rendered not long ago."""
    found = await tx.fetchval(PREVIEW, hash)
    return None if found is None else bytes(found)


async def keep_preview(tx: Tx, hash: bytes, audio_ulaw: bytes) -> None:
    await tx.execute(KEEP, hash, audio_ulaw)


async def forget_previews(tx: Tx, age: timedelta, most: int) -> None:
    """As the system: delete those that are older."""
    await tx.execute(FORGET, age, most)
