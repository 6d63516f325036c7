"""A browser's side of a call, by aiortc on loopback: what it says is synthetic, and what it receives is kept."""

import asyncio
import fractions
import time
from typing import cast

import numpy as np
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from av import AudioFrame
from numpy.typing import NDArray

from hum.v1 import runtime_pb2 as pb

Samples = NDArray[np.int16]

HZ = 48_000
FRAME = HZ // 50


def wide_tone(ms: int, hz: float, peak: int = 8_000) -> Samples:
    return (peak * np.sin(2 * np.pi * hz * np.arange(HZ * ms // 1000) / HZ)).astype(np.int16)


def wide_voice(ms: int, seed: int = 3, peak: int = 9_000) -> Samples:
    """Noise that the detector takes for speech, as a narrow line carries it."""
    noise = np.random.default_rng(seed).normal(0, peak / 2, HZ * ms // 1000 // 6)
    return np.clip(np.repeat(noise, 6), -30_000, 30_000).astype(np.int16)


class Microphone(MediaStreamTrack):
    """Silence, until something is said: 20 ms at a time, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._said = np.zeros(0, np.int16)
        self._began: float | None = None
        self._count = 0

    def say(self, samples: Samples) -> None:
        self._said = np.concatenate([self._said, samples])

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._began = self._began or time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._count / 50 - time.monotonic()))
        part, self._said = self._said[:FRAME], self._said[FRAME:]
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(np.pad(part, (0, FRAME - len(part))).tobytes())
        frame.sample_rate, frame.pts, frame.time_base = HZ, self._count * FRAME, fractions.Fraction(1, HZ)
        self._count += 1
        return frame


class Caller:
    """A browser that calls; what it hears is in `heard`, mono at 8 kHz."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.microphone = Microphone()
        self.connection.addTrack(self.microphone)
        self.frames: list[Samples] = []
        self._listening: asyncio.Task[None] | None = None
        self.connection.on("track", self._track)

    def _track(self, track: RemoteStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: RemoteStreamTrack) -> None:
        try:
            while True:
                frame = cast("AudioFrame", await track.recv())
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.frames.append(samples[::6].astype(np.int16))
        except MediaStreamError:
            pass

    @property
    def heard(self) -> Samples:
        return np.concatenate(self.frames) if self.frames else np.zeros(0, np.int16)

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def take(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self.connection.close()
        if self._listening is not None:
            await self._listening


def offer_of(call_id: str, sdp: str, token: str, organization: str = "") -> pb.LinkDown:
    return pb.LinkDown(browser=pb.BrowserOffer(call_id=call_id, token=token, sdp=sdp, organization_id=organization))


def loudest_hz(samples: NDArray[np.int16], rate: int = 8_000) -> float:
    """The frequency that dominates."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)
