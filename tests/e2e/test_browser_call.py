"""A call from Debian's Chromium through the console: what each side hears is known by its content."""

import asyncio
import base64
import io
import itertools
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioice.ice
import av
import numpy as np
import pytest
from grpc import aio

from gateway.console import STATIC
from hum import rpc
from hum.process import home
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2, runtime_pb2_grpc
from media import app as media
from realtime.audio import decode
from sandbox.openai import Script
from sandbox.speech import Speech
from tests.e2e.conftest import KEY, House
from tests.support.browser import Tab, chromium
from tests.support.patient import PATIENT
from tests.support.waits import patience

HZ = 8_000
LONG_HZ, SHORT_HZ = 1_000, 600
GREETING = "Welcome to the clinic."
QUESTION = "I need a plumber please."
PAUSE_MS = 7_000  # the caller repeats the question after that, over an answer which is longer
FLAGS = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
RECORD = """
    window.kept = [];
    window.recorder = new MediaRecorder(document.getElementById("agent").srcObject);
    recorder.addEventListener("dataavailable", (event) => kept.push(event.data));
    recorder.start(200);
"""
KEPT = """
    new Promise((resolve) => {
        recorder.addEventListener("stop", () => {
            const reader = new FileReader();
            reader.addEventListener("load", () => resolve(reader.result.split(",")[1]));
            reader.readAsDataURL(new Blob(kept));
        });
        recorder.stop();
    })
"""


@pytest.fixture
def script() -> Script:
    return Script.of({"turns": [{"tone": {"hz": LONG_HZ, "ms": 20_000}}, {"tone": {"hz": SHORT_HZ, "ms": 2_000}}]})


def as_file(pcm: np.ndarray[Any, Any], rate: int, path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype(np.int16).tobytes())
    return path


@pytest.fixture
async def question(speech: Speech, tmp_path: Path) -> Path:
    """What Chromium's microphone hears, again and again."""
    said = await speech.utter(QUESTION, "caller", 48_000)
    pcm = np.asarray(said.samples)
    pcm = pcm if pcm.dtype == np.int16 else pcm * 32_000
    return as_file(np.concatenate([pcm, np.zeros(48 * PAUSE_MS)]), 48_000, tmp_path / "question.wav")


def address() -> str:
    """One at which Chromium, which uses no loopback candidates, reaches this machine."""
    return next(iter(aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)), "127.0.0.1")


@pytest.fixture
async def browsers(house: House) -> AsyncIterator[media.MediaPlane]:
    """The process for browsers' calls."""
    settings = MediaSettings(
        home=house.home,
        control_address=house.media.link._settings.control_address,
        openai_api_key=KEY,
        openai_base_url=house.model.url,
        ice_host=address(),
        drain_seconds=0,
        linger_seconds=0,
        **PATIENT,
    )
    async with media.build(settings, browser=True) as running:
        async with patience():
            while not running.link.up:
                await asyncio.sleep(0.02)
        yield running


async def session(house: House) -> str:
    """The owner's session, as if signed in."""
    settings = house.media.link._settings
    identity = rpc.NodeIdentity(home.node_key(settings), "gateway", "gateway-1")
    async with aio.insecure_channel(settings.control_address) as channel:
        request = runtime_pb2.OpenWebSessionRequest(
            issuer="https://issuer.example",
            subject="1",
            email="owner@clinic.example",
            email_verified=True,
            name="Owner",
        )
        stub = runtime_pb2_grpc.SignInServiceStub(channel)
        return str((await stub.OpenWebSession(request, metadata=(identity.metadata(),))).token)


async def until(tab: Tab, expression: str, seconds: float = 40) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await tab.evaluate(expression)):
            await asyncio.sleep(0.1)
    return found


def button(label: str) -> str:
    return f"[...document.querySelectorAll('button')].find((each) => each.textContent.trim() === '{label}')"


def level(label: str) -> str:
    """How loud a side is, as the page's meter shows it."""
    return f'Number(document.querySelector(`[role=meter][aria-label="{label}"]`)?.ariaValueNow ?? 0)'


def said(role: str) -> str:
    """What this side has said, in the page's transcript."""
    return f"[...document.querySelectorAll('#transcript .{role}:not(.unsaid)')].map((each) => each.innerText)"


def decoded(webm: bytes) -> np.ndarray[Any, Any]:
    """Mono, 8 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=HZ)
    with av.open(io.BytesIO(webm), "r") as file:
        frames = [each for frame in file.decode(audio=0) for each in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(float)


def stretches_ms(heard: np.ndarray[Any, Any], hz: float) -> list[int]:
    """How long each stretch of this tone is; gaps of up to 60 ms belong to it."""
    frames = heard[: len(heard) // 160 * 160].reshape(-1, 160)
    at = np.exp(-2j * np.pi * hz / HZ * np.arange(160))
    power = np.abs(frames @ at) / 80
    is_tone = (power > 500) & (power > 0.7 * np.sqrt(2 * (frames**2).mean(axis=1) + 1))
    for _ in range(3):
        is_tone[1:-1] |= is_tone[:-2] & is_tone[2:]
    return [20 * len(list(run)) for tone, run in itertools.groupby(is_tone) if tone]


def utterances(heard: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The stretches of sound with at least half a second of silence around them."""
    frames = heard[: len(heard) // 160 * 160].reshape(-1, 160).astype(float)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > 300)
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > 25) + 1) if len(loud) else []
    return [heard[max(0, part[0] - 10) * 160 : (part[-1] + 10) * 160] for part in parts]


@pytest.mark.browser
@pytest.mark.speech
@pytest.mark.timeout(300)
async def test_chromium_speaks_and_hears_and_interrupts(
    house: House, browsers: media.MediaPlane, question: Path, speech: Speech, tmp_path: Path
) -> None:
    assert (STATIC / "index.html").exists(), "the console is not built: make console"
    flow = (await house.http.post("/api/flows", json={"name": "Desk", "greeting": GREETING})).raise_for_status().json()
    await house.clips_rendered()
    url = str(house.http.base_url).rstrip("/")
    async with chromium(tmp_path, *FLAGS, f"--use-file-for-fake-audio-capture={question}") as tab:
        await tab.call("Network.setCookie", name="hum_session", value=await session(house), url=url)
        await tab.show(f"{url}/agents/{flow['id']}?tab=try&by=voice")
        await until(tab, f"{button('Call the agent')} !== undefined")
        await tab.evaluate(f"{button('Call the agent')}.click()")
        await until(tab, "document.getElementById('agent').srcObject !== null")
        await tab.evaluate(RECORD)
        for side in ("Your level", "The agent's level"):
            await until(tab, f"{level(side)} > 10")
        after_the_cut = f"{said('agent')}.some((each) => each.includes('[{SHORT_HZ} Hz]'))"
        await until(tab, after_the_cut, 120)
        heard = decoded(base64.b64decode(await tab.evaluate(KEPT)))
        shown = {role: await tab.evaluate(said(role)) for role in ("agent", "caller")}
        await tab.evaluate(f"{button('Hang up')}.click()")
        await until(tab, "document.getElementById('status').textContent.includes('The call is over: hung up.')")
        assert tab.complaints() == [], "the page's policy lets it do all it does"
    record = await house.record()

    # What the model was sent, as an ear hears it: the question, of which the call may have begun in the middle.
    (truth,) = house.model.sessions
    words = [(await speech.hear(sound)).lower() for sound in utterances(decode(bytes(truth.heard)))]
    assert any("plumber" in each for each in words), words
    assert any("interrupted" in each for each in shown["agent"]), shown
    assert any(each.strip() for each in shown["caller"]), shown
    # What Chromium received: the tone of the first answer up to the interruption, then that of the second.
    long, short = stretches_ms(heard, LONG_HZ), stretches_ms(heard, SHORT_HZ)
    cut = max((each for each in record["interruptions"] if each["verdict"] == "cut"), key=lambda each: each["heard_ms"])
    assert 1_000 < cut["heard_ms"] < 19_000
    assert max(long) == pytest.approx(cut["heard_ms"], abs=120), "heard is what was really received"
    assert max(short) == pytest.approx(2_000, abs=150)
    assert (record["origin"], record["status"], record["end_reason"]) == ("browser", "completed", "hang_up")
