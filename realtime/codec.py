"""The two audio formats that the stand-in supports: `audio/pcmu`, and `audio/pcm` at 24 kHz (s16le)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime.audio import Samples, decode, encode


@dataclass(frozen=True, slots=True)
class Codec:
    rate_hz: int
    bytes_per_ms: int
    encode: Callable[[Samples], bytes]
    decode: Callable[[bytes], Samples]

    def ms(self, payload_bytes: int) -> int:
        return payload_bytes // self.bytes_per_ms


def _from_pcm(payload: bytes) -> Samples:
    return np.frombuffer(payload[: len(payload) // 2 * 2], dtype="<i2").astype(np.int16)


PCMU = Codec(8_000, 8, encode, decode)
PCM = Codec(24_000, 48, lambda samples: samples.astype("<i2").tobytes(), _from_pcm)


def codec_of(audio_format: dict[str, Any]) -> Codec:
    return PCMU if audio_format["type"] == "audio/pcmu" else PCM
