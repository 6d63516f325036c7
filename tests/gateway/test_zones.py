"""Calls go to a media process of the zone of the gateway that the carrier has asked, or else of control's."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from hum import ids
from storage import browser_calls, media_links
from storage.db import Db
from storage.media_links import NodeState
from tests.gateway.test_control_away import Deployment
from tests.support.metrics import sample

EAST, WEST = "wss://east.example", "wss://west.example"
AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def deployment(database_url: str, tmp_path: Path) -> Deployment:
    made = Deployment(database_url, tmp_path)
    await made.set_up()
    return made


async def link(db: Db, zone: str, url: str, places: int) -> None:
    async with db.system() as tx:
        await media_links.open(
            tx, f"media-{zone}", ids.new(), NodeState(places=places, url=url, beat=AN_HOUR, zone=zone)
        )


async def test_the_gateways_zone_is_asked_first_then_any(deployment: Deployment) -> None:
    async with deployment.control(zone="west") as control:
        await link(control.db, "east", EAST, 2)
        await link(control.db, "west", WEST, 1000)
        far = out_of_zone()
        async with (
            deployment.gateway(zone="east") as east,
            deployment.gateway() as nowhere,
            deployment.gateway(zone="north") as north,
        ):
            first = [await url(east, f"CA{number}") for number in range(3)]
            assert first == [EAST, EAST, WEST], "full, and nobody is refused"
            assert await url(east, "CA0") == EAST, "asked again, the answer is the same"
            assert out_of_zone() == far + 1
            assert await url(nowhere, "CA8") == WEST, "control's own zone"
            assert await url(north, "CA9") == WEST, "nobody is there"
            assert out_of_zone() == far + 2


async def test_browsers_stay_in_the_zone_too(database_url: str) -> None:
    db = await Db.open(database_url, size=2)
    try:
        async with db.system() as tx:
            for zone in ("east", "west", "north"):
                await media_links.open(tx, zone, ids.new(), NodeState("full" if zone == "north" else None, zone=zone))
                await media_links.set_takes(tx, zone, ("browser",))
            for zone in ("east", "west"):
                found = [await browser_calls.node(tx, AN_HOUR, zone) for _ in range(5)]
                assert {each.node for each in found if each} == {zone}
            elsewhere = await browser_calls.node(tx, AN_HOUR, "north")
            assert elsewhere is not None and elsewhere.refuses is None, "one that has room, wherever it is"
    finally:
        await db.close()


async def url(carrier: object, call_sid: str) -> str:
    answer = await carrier.post("/twilio/voice", call_sid, From=f"+1317555{call_sid[2:]:>04}")  # type: ignore[attr-defined]
    found = re.search(r'<Stream url="([^"]+)/media/twilio"', answer.text)
    assert found is not None, answer.text
    return found[1]


def out_of_zone() -> float:
    return sample("hum_calls_out_of_zone_total") or 0.0
