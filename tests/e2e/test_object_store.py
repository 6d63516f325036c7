"""Calls and texts whose files live in a bucket: the media plane is on another machine than control."""

import asyncio
import io
import wave
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hum import recordings
from hum.objects.bucket import Bucket, open_bucket
from hum.settings import ControlSettings
from sandbox.openai import Script
from sandbox.twilio import say
from tests.e2e.conftest import CALLER, NUMBER, House
from tests.e2e.test_inbound_call import LISTEN
from tests.e2e.test_voicemail import BEEPED, HASH, MESSAGE, MORE, closed, item, samples
from tests.support import objectstore
from tests.support.objectstore import Store
from tests.support.waits import patience

pytestmark = pytest.mark.nodes


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with objectstore.serving(tmp_path_factory.mktemp("weed")) as store:
        yield store


@pytest.fixture
def shared_settings(store: Store, tmp_path: Path) -> dict[str, Any]:
    fast = {"sweep_seconds": 0.2, "job_retry_seconds": 0.2, "node_key": "a node key of these tests, which is long"}
    return store.settings(prefix=tmp_path.name) | fast


@pytest.fixture
def media_settings(tmp_path: Path) -> dict[str, Any]:
    fast = {"store_scan_seconds": 0.1, "store_settle_seconds": 0.3, "voicemail_silence_seconds": 3.0}
    return fast | {"home": tmp_path / "media", "voicemail_max_seconds": 6.0}


@pytest.fixture
def script() -> Script:
    return Script.of(
        {"heard": ["Please call me back about the boiler"], "turns": [{"say": "Good morning, how may I help?"}]}
    )


def bucket_of(house: House, store: Store) -> Bucket:
    settings = ControlSettings(**store.settings(prefix=house.home.name))
    assert settings.bucket is not None
    return open_bucket(settings, settings.bucket)


async def beginning_of(house: House, call_id: str) -> str:
    """What the names of a call's objects begin with."""
    return recordings.prefix((await house.http.get("/api/me")).json()["organization"]["id"], call_id)


async def test_a_recording_is_heard_as_soon_as_it_is_there_and_gone_with_its_call(house: House, store: Store) -> None:
    await house.answer_with(recording_enabled=True)
    call = await house.ring(LISTEN, say(MORE), LISTEN)
    await call.ended()
    record = await house.record()
    url = f"/api/calls/{record['id']}/recording"
    async with patience():
        while (answer := await house.http.get(url)).status_code == 503:
            assert answer.json()["error"]["code"] == "not_stored_yet"
            await asyncio.sleep(0.05)
    sound = answer.raise_for_status().content
    with wave.open(io.BytesIO(sound)) as wav:
        assert wav.getnchannels() == 2 and wav.getnframes() > 8_000
    part = await house.http.get(url, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, sound[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(sound)}"
    peaks = await house.http.get(f"/api/calls/{record['id']}/peaks")
    assert peaks.raise_for_status().content[:4] == b"HUMP"
    async with patience():
        while list((house.home / "media" / "recordings").rglob("*.wav*")):
            await asyncio.sleep(0.05)
    assert (await house.http.get(url)).content == sound
    bucket = bucket_of(house, store)
    beginning = await beginning_of(house, record["id"])
    assert len(await bucket.list_paths(beginning)) == 2
    (await house.http.delete(f"/api/calls/{record['id']}")).raise_for_status()
    async with patience():
        while await bucket.list_paths(beginning):
            await asyncio.sleep(0.05)
    assert (await house.http.get(url)).status_code == 404


async def test_a_message_that_is_left_is_transcribed_from_the_bucket_and_deleted_there(
    house: House, store: Store
) -> None:
    await closed(house)
    call = await house.ring(BEEPED, say(MESSAGE), HASH, stay=True)
    await call.ended()
    left = await item(house)
    assert await samples(house, left)
    assert (await house.http.get(f"/api/voicemails/{left['id']}/peaks")).raise_for_status().content[:4] == b"HUMP"
    (await house.http.delete(f"/api/voicemails/{left['id']}")).raise_for_status()
    assert (await house.http.get(left["audio_url"])).status_code == 404
    bucket, beginning = bucket_of(house, store), await beginning_of(house, left["call_id"])
    async with patience():
        while await bucket.list_paths(beginning):
            await asyncio.sleep(0.05)


PNG = b"\x89PNG\r\n\x1a\npicture"


async def texts_of(house: House, thread: str, *statuses: str) -> list[dict[str, Any]]:
    """The texts of a conversation with their files, oldest first, once they have these statuses."""
    path = f"/api/sms/conversations/{thread}/messages"
    async with patience():
        while True:
            texts: list[dict[str, Any]] = (await house.http.get(path)).raise_for_status().json()["messages"]
            is_stored = all(file["status"] == "stored" for text in texts for file in text["media"])
            if is_stored and sorted(text["status"] for text in texts) == sorted(statuses):
                return sorted(texts, key=lambda text: str(text["created_at"]))
            await asyncio.sleep(0.05)


async def test_pictures_of_texts_are_sent_and_received_by_way_of_the_bucket(house: House, store: Store) -> None:
    await house.answer_with()
    (number,) = (await house.http.get("/api/numbers")).json()["numbers"]
    await house.http.patch(f"/api/numbers/{number['id']}", json={"sms_enabled": True})
    upload = await house.http.post(
        "/api/sms/uploads", content=PNG, headers={"Content-Type": "application/octet-stream"}
    )
    sent = {"body": "Your form", "upload_ids": [upload.raise_for_status().json()["id"]], "honor_quiet_hours": False}
    thread = await house.http.post(
        "/api/sms/conversations",
        json={"twilio_number_id": number["id"], "contact_e164": CALLER, "initial_message": sent},
    )
    id = thread.raise_for_status().json()["id"]
    await texts_of(house, id, "delivered")
    (arrived,) = house.carrier.texts_to(CALLER)
    assert [(file.content_type, file.content) for file in arrived.media] == [("image/png", PNG)]
    house.carrier.text(NUMBER, CALLER, "And my card", ("image/png", PNG * 2))
    texts = await texts_of(house, id, "delivered", "received")
    shown = [(await house.http.get(text["media"][0]["url"])).raise_for_status().content for text in texts]
    assert shown == [PNG, PNG * 2]
    bucket = bucket_of(house, store)
    organization = (await house.http.get("/api/me")).json()["organization"]["id"]
    objects = await bucket.list_paths(f"{organization}/texts/")
    assert {sha256(await bucket.load(path)).digest() for path in objects} == {sha256(one).digest() for one in shown}
    assert not [path for path in house.home.rglob("*") if path.is_file() and path.read_bytes()[:8] == PNG[:8]]
