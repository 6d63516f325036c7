"""webrtcvad: which 20 ms of a sound are a voice."""

import webrtcvad

from realtime.audio import Samples
from realtime.codec import Codec

FRAME_MS = 20


class VoiceDetector:
    """webrtcvad on frames of 20 ms: what is loud and no voice begins no turn."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(2)

    def __call__(self, frame: Samples, rate_hz: int) -> bool:
        # The library takes 8, 16, 32 and 48 kHz; at 24 kHz every third sample is enough for it.
        if rate_hz == 24_000:
            frame, rate_hz = frame[::3], 8_000
        return bool(self._vad.is_speech(frame.astype("<i2").tobytes(), rate_hz))


def voiced_ms(codec: Codec, audio: bytes) -> int:
    """Return for how long there is a voice in a sound."""
    is_voice, frame_bytes = VoiceDetector(), FRAME_MS * codec.bytes_per_ms
    whole = range(0, len(audio) - frame_bytes + 1, frame_bytes)
    return FRAME_MS * sum(is_voice(codec.decode(audio[at : at + frame_bytes]), codec.rate_hz) for at in whole)
