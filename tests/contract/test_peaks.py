"""Peaks over REST: what draws a recording, for whoever may hear it."""

import httpx

from hum import ids, peaks
from hum.ids import Kind
from hum.v1 import runtime_pb2
from media.recorder import MessageRecorder, Recorder
from storage import recordings, voicemails
from tests.contract.conftest import Edge
from tests.contract.inbox import organization
from tests.contract.test_changes import with_key
from tests.contract.test_live_stream import in_progress
from tests.support.recordings import closed, closed_message


async def recorded(edge: Edge) -> tuple[httpx.AsyncClient, str]:
    """A call that is over and was recorded."""
    http, media, call_id = await in_progress(edge)
    made = Recorder.open(edge.plane.settings.recordings_dir, "o", call_id)
    for at in range(0, 3_000, 20):
        made.caller(bytes([0x20 + at % 7]) * 160, at)
    stored = closed(made)
    async with edge.plane.control.db.tenant(await organization(http)) as tx:
        await recordings.begin(tx, ids.require(Kind.CALL, call_id), 1, stored.path)
    assert (await http.get(f"/api/calls/{call_id}/peaks")).status_code == 404, "its stream goes on"
    media.report(
        recording=runtime_pb2.RecordingStored(path=stored.path, duration_ms=3_000, size_bytes=stored.size_bytes)
    )
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=3_000)))
    return http, call_id


async def test_peaks_of_a_call_are_kept_by_the_browser_once_it_is_over(edge: Edge) -> None:
    http, call_id = await recorded(edge)
    url = (await http.get(f"/api/calls/{call_id}")).json()["peaks_url"]
    assert url == f"/api/calls/{call_id}/peaks"
    answer = await http.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Authorization, Cookie"
    found = peaks.unpack(answer.content)
    assert found is not None and found.shape == (2, 60)
    assert found[0].min() > 0 and found[1].max() == 0
    stranger = await edge.client("Stranger")
    assert (await stranger.get(url)).status_code == 404
    other = await with_key(edge, http, "admin", "sms:read")
    assert (await other.get(url)).status_code == 403
    assert (await http.delete(f"/api/calls/{call_id}")).is_success
    assert (await http.get(url)).status_code == 404


async def test_peaks_of_a_voicemail_are_asked_for_each_time(edge: Edge) -> None:
    http, _, call_id = await in_progress(edge)
    made = MessageRecorder.open(edge.plane.settings.recordings_dir, "o", call_id, 0)
    made.caller(bytes(160) * 100, 0)
    stored, id = closed_message(made), ids.new()
    async with edge.plane.control.db.tenant(org := await organization(http)) as tx:
        await voicemails.upsert(tx, id, org, ids.require(Kind.CALL, call_id), stored.path, stored.duration_ms)
    voicemail = (await http.get("/api/voicemails")).json()["voicemails"][0]
    answer = await http.get(voicemail["peaks_url"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = peaks.unpack(answer.content)
    assert found is not None and found.shape == (1, 40) and bool((found > 200).all())
