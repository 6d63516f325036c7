"""Clips: fixed prompts, rendered once for each voice, stored under the hash of voice and text."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from storage.db import Tx

FIND = "SELECT hash, audio_ulaw FROM clips WHERE hash = ANY($1)"
FIND_OF = "SELECT hash, audio_ulaw FROM clips WHERE org_id = $1 AND hash = ANY($2)"
STORE = """
    INSERT INTO clips (org_id, hash, voice, text, audio_ulaw) VALUES (hum.org_id(), $1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""


def clip_hash(voice: str, text: str) -> bytes:
    """Return the SHA-256 over voice and text."""
    return hashlib.sha256(f"{voice}\0{text}".encode()).digest()


async def find(tx: Tx, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the audio (mu-law, 8 kHz) of rendered clips, by hash."""
    return {bytes(row["hash"]): bytes(row["audio_ulaw"]) for row in await tx.fetch(FIND, hashes)}


async def find_of(tx: Tx, org: UUID, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return an organization's rendered clips, as `find` does.  Runs as the system."""
    return {bytes(row["hash"]): bytes(row["audio_ulaw"]) for row in await tx.fetch(FIND_OF, org, hashes)}


async def store(tx: Tx, voice: str, text: str, audio_ulaw: bytes) -> None:
    await tx.execute(STORE, clip_hash(voice, text), voice, text, audio_ulaw)
