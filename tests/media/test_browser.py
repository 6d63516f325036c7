"""Calls from browsers through the whole media plane: a real peer connection on loopback, both directions by their content."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from media import app, peers
from media.core.audio import to_linear
from media.legs.peer import Ice, ice_servers, shown, tried
from media.peers import Place, giving_way
from tests.media.audio import tone
from tests.media.browsers import Caller, loudest_hz, offer_of, wide_voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import MakeSettings
from tests.support.metrics import sample
from tests.support.present import present
from tests.support.waits import patience, until

LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def plane(settings: MakeSettings, control: FakeControl, **changed: Any) -> AsyncIterator[app.MediaPlane]:
    given = settings(HUM_ICE_HOST=LOOPBACK, **changed)
    async with app.build(given, browser=True) as media:
        linked = asyncio.create_task(until(lambda: media.link.up))
        await linked
        yield media


async def answered(control: FakeControl, call_id: str = "call_1") -> pb.BrowserReply:
    return await until(lambda: next((each for each in control.replies if each.call_id == call_id), None))


@contextlib.asynccontextmanager
async def calling(
    control: FakeControl, call_id: str = "call_1", organization: str = "", **session: Any
) -> AsyncIterator[Caller]:
    """A browser whose call has begun."""
    caller = Caller()
    control.offer("token", None, call_id=call_id, **session)
    present(control.downs).put_nowait(offer_of(call_id, await caller.offer(), "token", organization))
    reply = await answered(control, call_id)
    assert reply.WhichOneof("reply") == "answer", reply
    await caller.take(reply.answer)
    await until(lambda: "started" in control.kinds(call_id))
    try:
        yield caller
    finally:
        await caller.close()


def sounds(caller: Caller, least: int = 400) -> NDArray[np.int16]:
    """What was heard that is louder than silence."""
    heard = caller.heard
    return heard[np.abs(heard) > least]


async def placed(
    control: FakeControl, caller: Caller, call_id: str = "call_1", sdp: str | None = None, organization: str = ""
) -> pb.BrowserReply:
    """Offer a call; what the process replied."""
    control.offer("token", None, call_id=call_id)
    present(control.downs).put_nowait(offer_of(call_id, sdp or await caller.offer(), "token", organization))
    return await answered(control, call_id)


def longest_ms(samples: NDArray[np.int16], hz: int) -> int:
    """How long the longest stretch of this tone is; what is lost or made up within 60 ms is part of it."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80).astype(float)
    power = np.abs(frames @ np.exp(-2j * np.pi * hz / 8_000 * np.arange(80))) / 40
    stretch = longest = 0
    silent = 10
    for each in power > 1_500:
        silent = 0 if each else silent + 1
        stretch = stretch + 1 if silent < 6 else 0
        longest = max(longest, stretch - silent)
    return 10 * longest


async def test_both_hear_each_other(control: FakeControl, model: FakeModel, settings: MakeSettings) -> None:
    model.answer = tone(1_500, hz=700)
    async with plane(settings, control), calling(control) as caller:
        await until(lambda: "session.update" in model.types())
        caller.microphone.say(wide_voice(600))
        await until(lambda: len(sounds(caller)) > 6_000)
        assert loudest_hz(caller.heard[-6_000:]) == pytest.approx(700, abs=15)
        said = np.frombuffer(to_linear(model.heard()), np.int16)
        assert np.abs(said).max() > 3_000
        stats = await caller.connection.getStats()
        (remote,) = [each for each in stats.values() if each.type == "remote-inbound-rtp"]
        assert remote.packetsLost < 10, "the browser is told how its audio arrives"
    ended = await until(lambda: control.ended("call_1"))
    assert ended.reason == "caller"


@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.realtime)])
async def test_heard_is_what_the_browser_received(
    control: FakeControl, model: FakeModel, settings: MakeSettings, exact: bool
) -> None:
    """The caller speaks over the agent: what the ledger says was heard, and the model is told, is what came, to a frame."""
    model.answer = tone(12_000, hz=700)
    async with plane(settings, control), calling(control) as caller:
        await until(lambda: "session.update" in model.types())
        caller.microphone.say(wide_voice(600))
        await until(lambda: longest_ms(caller.heard, hz=700) > 800)
        caller.microphone.say(wide_voice(900, seed=5))
        await until(lambda: "conversation.item.truncate" in model.types())
        heard_ms = next(each for each in model.received if each["type"] == "conversation.item.truncate")["audio_end_ms"]
        await until(lambda: "interruption" in control.kinds("call_1"))
        await asyncio.sleep(0.5)  # for what is under way and in the browser's own jitter buffer
        assert 800 < heard_ms < 11_000
        if exact:
            assert longest_ms(caller.heard, 700) == pytest.approx(heard_ms, abs=50)


async def test_control_ends_a_call_and_its_connection_with_it(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    async with plane(settings, control) as media, calling(control) as caller:
        control.command("call_1", hang_up=pb.HangUpNow())
        ended = await until(lambda: control.ended("call_1"))
        assert ended.reason == "hang_up"
        await until(lambda: caller.connection.connectionState == "closed")
        await until(lambda: len(media.server) == 0)


async def test_a_connection_that_never_stands_is_released(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    async with plane(settings, control, browser_connect_seconds=0.5) as media:
        caller = Caller()
        assert (await placed(control, caller)).WhichOneof("reply") == "answer"
        reply = await until(lambda: next((each for each in control.replies if each.failed), None))
        assert (reply.call_id, reply.failed) == ("call_1", "not_connected")
        assert control.opened == [], "no session, no model"
        assert len(media.server) == 0
        await until(lambda: not [each for each in asyncio.all_tasks() if each.get_name() == "browser"])
        await caller.close()


async def test_a_browser_that_vanishes_is_noticed(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    async with plane(settings, control, browser_lost_seconds=3), calling(control) as caller:
        for transceiver in caller.connection.getTransceivers():  # no goodbye
            await transceiver.sender.transport.transport._connection.close()
        ended = await until(lambda: control.ended("call_1"))
        assert ended.reason == "connection_lost"


async def test_so_many_connect_at_once_and_no_more(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    async with plane(settings, control, browser_waiting=2):
        callers = [Caller() for _ in range(3)]
        replies = [await placed(control, caller, f"call_{n}") for n, caller in enumerate(callers)]
        assert [each.WhichOneof("reply") for each in replies] == ["answer", "answer", "refused"]
        for caller in callers:
            await caller.close()


@pytest.mark.parametrize(
    ("waiting", "organization", "gives_way"),
    [
        ("", "b", None),
        ("a", "a", 0),
        ("aaaaaa", "b", 0),
        ("baaaaa", "b", 1),
        ("baaaab", "b", 1),
        ("baaabb", "b", 0),  # halves: its own
        ("aaabbc", "c", 0),
        ("aabbcc", "d", 0),
        ("abcdef", "c", 2),
        ("abcdef", "g", None),  # each has had its place for too short a time
        ("aaaaaa", "", None),
        ("      ", "b", None),
    ],
)
def test_an_offer_gives_way_to_whom_has_fewer(waiting: str, organization: str, gives_way: int | None) -> None:
    connecting = {f"call_{n}": Place(name.strip(), 1_000) for n, name in enumerate(waiting)}
    assert giving_way(connecting, organization, 2_999) == (None if gives_way is None else f"call_{gives_way}")


def test_the_only_offer_that_has_waited_longest_gives_way_to_an_organization_without_one() -> None:
    connecting = {"call_0": Place("a", 1_500), "call_1": Place("b", 1_000), "call_2": Place("", 0)}
    assert giving_way(connecting, "c", 2_999) is None
    assert giving_way(connecting, "c", 3_000) == "call_1"
    assert giving_way(connecting, "a", 3_000) == "call_0", "its own"


async def test_organizations_with_one_offer_each_keep_no_other_out(
    control: FakeControl, model: FakeModel, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if they offer anew all the time."""
    monkeypatch.setattr(peers, "CONNECTING_MS", 300)
    async with plane(settings, control, browser_waiting=3, link_beat_ms=40):
        greedy = Caller()
        sdp = await greedy.offer()

        async with patience():
            for n in count():
                for other in range(3):
                    await placed(control, greedy, f"call_{n}_{other}", sdp, f"greedy {other}")
                reply = await placed(control, greedy, f"theirs_{n}", sdp, "modest")
                if reply.WhichOneof("reply") == "answer":
                    break
                assert reply.refused == "full"
        await greedy.close()


async def test_offers_that_nobody_follows_up_keep_no_other_organization_out(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    async with plane(settings, control, browser_waiting=3, link_beat_ms=40) as media:
        greedy = Caller()
        sdp = await greedy.offer()
        for n in range(6):
            assert (await placed(control, greedy, f"call_{n}", sdp, "greedy")).WhichOneof("reply") == "answer"
        given_up = await until(lambda: [each for each in control.replies if each.failed][2:] and control.replies)
        assert [each.call_id for each in given_up if each.failed == "gave_way"] == ["call_0", "call_1", "call_2"]
        assert "full" not in control.states, "control may send another organization's offer"
        async with calling(control, "theirs", organization="modest") as caller:
            ended = [each.call_id for each in control.replies if each.failed == "gave_way"]
            assert ended == ["call_0", "call_1", "call_2", "call_3"], "the oldest of the organization with most"
            caller.microphone.say(wide_voice(300))
            await until(lambda: len(media.server) == 1)
        await greedy.close()


async def test_a_process_that_is_full_says_so(control: FakeControl, model: FakeModel, settings: MakeSettings) -> None:
    async with plane(settings, control, browser_calls=1, link_beat_ms=40), calling(control):
        await until(lambda: "full" in control.states)
        other = Caller()
        assert (await placed(control, other, "call_2")).refused == "full"
        await other.close()
    assert list(control.hellos[0].state.takes) == [calls_pb2.CALL_ORIGIN_BROWSER]


async def test_each_refusal_is_counted_by_its_reason(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    def counts() -> list[float]:
        samples = (
            sample("hum_media_streams_total", {"outcome": reason}) for reason in ("full", "repeated", "draining")
        )
        return [count or 0.0 for count in samples]

    before, caller = counts(), Caller()
    async with plane(settings, control, browser_waiting=2) as media:
        assert (await placed(control, caller)).WhichOneof("reply") == "answer"
        present(control.downs).put_nowait(offer_of("call_1", "again", "token"))
        await until(lambda: any(each.refused == "repeated" for each in control.replies))
        media.server.leaving = True
        assert (await placed(control, caller, "call_2", "v=0")).refused == "draining"
        await caller.close()
    assert [after - known for known, after in zip(before, counts(), strict=True)] == [0, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda sdp: "nothing",
        lambda sdp: sdp.replace("m=audio", "m=video"),
        lambda sdp: sdp + sdp[sdp.index("m=audio") :],
        lambda sdp: sdp + "\x0bm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        lambda sdp: sdp.replace("opus/48000/2", "PCMU/8000"),
        lambda sdp: "\r\n".join(line for line in sdp.splitlines() if "fingerprint" not in line) + "\r\n",
        lambda sdp: "\r\n".join(line for line in sdp.splitlines() if "ice-" not in line) + "\r\n",
        lambda sdp: sdp.replace("a=mid:0", "a=mid"),
        lambda sdp: sdp.replace("a=rtpmap:", "a=rtpmap:x"),
    ],
)
async def test_an_offer_that_is_no_call_ends_nothing_but_itself(
    control: FakeControl, model: FakeModel, settings: MakeSettings, change: Callable[..., Any]
) -> None:
    async with plane(settings, control, browser_connect_seconds=0.5) as media:
        caller = Caller()
        reply = await placed(control, caller, sdp=change(await caller.offer()))
        if reply.WhichOneof("reply") == "answer":  # it only shows later that nobody can connect
            reply = await until(lambda: next((each for each in control.replies if each.failed), None))
        assert reply.WhichOneof("reply") in {"bad_offer", "failed"}
        assert "bug" not in reply.failed and reply.failed != "internal error"
        assert len(media.server) == 0
        await caller.close()


async def test_addresses_in_an_offer_get_no_packet(
    control: FakeControl, model: FakeModel, settings: MakeSettings
) -> None:
    """Whoever may place a call must not make this machine send to an address of their choice."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind((LOOPBACK, 0))
        victim.setblocking(False)
        async with plane(settings, control, browser_connect_seconds=1):
            caller = Caller()
            candidate = f"a=candidate:1 1 udp 2130706431 {LOOPBACK} {victim.getsockname()[1]} typ host\r\n"
            sdp = re.sub(r"a=candidate.*\r\n", "", await caller.offer()) + candidate
            reply = await placed(control, caller, sdp=sdp)
            assert reply.WhichOneof("reply") == "answer"
            await until(lambda: next((each for each in control.replies if each.failed), None))
            with pytest.raises(BlockingIOError):
                victim.recv(1_500)
            await caller.close()


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.5",
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:192.168.1.4",
        "fd00::1",
        "0x7f000001",
        "a.local",
        "",
        "a b",
    ],
)
def test_an_offer_leads_to_no_address_inside_the_network(address: str) -> None:
    """Also where ICE servers make the addresses of an offer matter."""
    line = "a=candidate:1 1 udp 2130706431 {} 50000 typ host\r\n"
    offer = f"v=0\r\n{line.format(address)}{line.format('8.8.8.8')}a=mid:0\r\n"
    assert tried(offer, has_servers=True) == f"v=0\r\n{line.format('8.8.8.8')}a=mid:0\r\n"
    assert tried(offer, has_servers=False) == "v=0\r\na=mid:0\r\n"


def test_the_answer_tells_one_address() -> None:
    ice = Ice("10.0.0.5", "203.0.113.7")
    answer = (
        "v=0\r\nc=IN IP4 10.0.0.5\r\n"
        "a=candidate:1 1 udp 2130706431 10.0.0.5 50000 typ host\r\n"
        "a=candidate:2 1 udp 2130706431 192.168.1.4 50001 typ host\r\n"
        "a=candidate:3 1 udp 1694498815 198.51.100.2 50000 typ srflx raddr 10.0.0.5 rport 50000\r\n"
    )
    told = shown(answer, ice)
    assert "10.0.0.5" not in told and "192.168.1.4" not in told
    assert "c=IN IP4 203.0.113.7" in told and "203.0.113.7 50000 typ host" in told
    assert "198.51.100.2 50000 typ srflx raddr 0.0.0.0 rport 9" in told


@pytest.mark.parametrize(
    "text", ["stun:", "turn:relay.example:3478", "stun:a:b@c:1", "http://x", "turn:u:p@h?transport=sctp"]
)
def test_ice_servers_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="HUM_ICE_SERVERS"):
        ice_servers(text)


def test_ice_servers() -> None:
    found = ice_servers(" stun:stun.example:3478, turn:ada:s3cret@relay.example:3478?transport=tcp ")
    assert [each.urls for each in found] == ["stun:stun.example:3478", "turn:relay.example:3478?transport=tcp"]
    assert (found[1].username, found[1].credential) == ("ada", "s3cret")


@pytest.mark.parametrize("exact", [False, pytest.param(True, marks=pytest.mark.realtime)])
async def test_the_agent_hangs_up_and_its_last_words_are_heard(
    control: FakeControl, model: FakeModel, settings: MakeSettings, exact: bool
) -> None:
    """There is no carrier: `end_call` closes the connection, after what the browser was sent last has been played."""
    model.answer, model.tools = tone(1_000, hz=700), ["end_call"]
    goodbye = pb.Clip(kind="goodbye", text="Goodbye.", audio_ulaw=tone(600, hz=900))
    ends = pb.Tool(name="end_call", parameters_json="{}", outcome=pb.Outcome(hang_up=pb.HangUpNow()))
    async with plane(settings, control) as media, calling(control, tools=[ends], clips=[goodbye]) as caller:
        await until(lambda: "session.update" in model.types())
        caller.microphone.say(wide_voice(600))
        ended = await until(lambda: control.ended("call_1"))
        assert ended.reason == "agent"
        await until(lambda: caller.connection.connectionState == "closed")
        # A busy machine may break them.
        assert longest_ms(caller.heard, 900) == pytest.approx(600, abs=40 if exact else 400)
        await until(lambda: len(media.server) == 0)
