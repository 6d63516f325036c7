"""The audio files of messages."""

import io
import wave
from collections.abc import Sequence

from control.voicemail import messageparts
from hum.contract.errors import NotStoredYet
from hum.objects.files import Files
from storage.voicemails import PartRow


async def duration_ms(files: Files, part: PartRow) -> int | None:
    """Return the duration of a message's file, or None if the file is gone.  Raises NotStoredYet, StoreUnavailable."""
    size = await files.size(part.audio_path)
    if size is None and isinstance(missing := files.missing(part.ended_at), NotStoredYet):
        raise missing
    return None if size is None else messageparts.duration_ms(size)


async def join(files: Files, stored_paths: Sequence[str], organization_id: str, call_id: str) -> str:
    """Concatenate files into a new recording of the call; return its path.  Raises OSError, StoreUnavailable."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as joined:
        joined.setparams((1, 2, 8_000, 0, "NONE", "not compressed"))
        for path in stored_paths:
            # By the file's size, not its header: a killed process may not have updated the header.
            pcm = (await files.load(path))[messageparts.HEADER_BYTES :]
            joined.writeframes(pcm[: len(pcm) // 2 * 2])
    return await files.add(organization_id, call_id, sound.getvalue())
