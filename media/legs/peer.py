"""One peer connection, by aiortc: the answer to a browser's offer, then RTP in both directions.  The only module that knows aiortc.

It takes exactly one audio section with Opus, and nothing else that an offer may ask for.  What it says of this machine is the
address that the operator set.  The addresses in an offer are ignored unless there are ICE servers: a browser reaches us at our
own, and whoever may place a call must not make us send packets to any address they name.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import ip_address
from typing import Any

import aioice.ice
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket
from av.packet import Packet

from hum.telemetry import log
from media.legs.opus import WIDE_HZ

LOG = log(__name__)
CONSENT_FAILURES = 5
ANSWER_SECONDS = 0.5  # aioice's, for a check that is not repeated
#: Documentation addresses (RFC 5737): no packet is sent to find out which of ours would be used.
FAR_AWAY = ("192.0.2.1", 9)
_CANDIDATE = re.compile(r"^a=(?:candidate:|end-of-candidates).*\r?\n", re.MULTILINE)
_MEDIA = re.compile(r"^m=(\S+)", re.MULTILINE)
_SERVER = re.compile(
    r"(?P<scheme>stun|turn|turns):(?:(?P<user>[^:@]+):(?P<password>[^@]+)@)?(?P<at>[^@?]+(?:\?transport=(?:udp|tcp))?)"
)
#: What aiortc raises for an offer that makes no sense: it trusts its syntax.
BAD_OFFER = (
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    TypeError,
    AssertionError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)


class BadOffer(ValueError):  # noqa: N818 - it says what is wrong
    """The offer is no call."""


@dataclass(frozen=True, slots=True)
class Ice:
    """Where browsers reach this process."""

    bound: str  # the address that sockets are bound to
    announced: str  # the one that browsers are told
    servers: tuple[RTCIceServer, ...] = ()

    @classmethod
    def of(cls, host: str, servers: str) -> "Ice":
        """From `HUM_ICE_HOST` and `HUM_ICE_SERVERS`.  Raises ValueError with a sentence."""
        if not host:
            own = _own_address()
            return cls(own, own, ice_servers(servers))
        try:
            announced = str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
        except OSError as error:
            raise ValueError(f"HUM_ICE_HOST={host} has no address: {error.strerror}") from error
        bound = announced if _is_ours(announced) else _own_address()  # behind address translation it is not ours
        return cls(bound, announced, ice_servers(servers))

    def use(self, lost_seconds: float) -> None:
        """All connections of this process are made like this, and count as lost after so long."""
        bound = self.bound

        def only(use_ipv4: bool, use_ipv6: bool) -> list[str]:
            return [bound] if (use_ipv4 if ip_address(bound).version == 4 else use_ipv6) else []

        aioice.ice.get_host_addresses = only
        aioice.ice.CONSENT_FAILURES = CONSENT_FAILURES
        interval = max(0.2, lost_seconds / CONSENT_FAILURES - ANSWER_SECONDS)
        aioice.ice.CONSENT_INTERVAL = interval  # type: ignore[assignment]  # seconds need not be whole


def ice_servers(text: str) -> tuple[RTCIceServer, ...]:
    """`stun:host:port` and `turn:user:password@host:port?transport=tcp`, comma-separated.  Raises ValueError with a sentence."""
    servers = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _SERVER.fullmatch(entry)
        if match is None or (match["scheme"] != "stun") != bool(match["user"]):
            raise ValueError(
                "HUM_ICE_SERVERS has a server that is neither stun:host:port nor turn:user:password@host:port"
            )
        servers.append(RTCIceServer(f"{match['scheme']}:{match['at']}", match["user"], match["password"]))
    return tuple(servers)


def _own_address() -> str:
    """The address of this machine that others see, where it has several; or loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(FAR_AWAY)
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


class _AgentTrack(MediaStreamTrack):
    """What the agent says, encoded already: aiortc only sends it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[Packet[Any] | None] = asyncio.Queue()

    async def recv(self) -> Any:  # aiortc takes packets as well as the frames of its declaration
        packet = await self.packets.get()
        if packet is None:
            raise MediaStreamError
        return packet


class Peer:
    """`received` gets sequence number, time and payload of each RTP packet; `ended` is called once, when the connection is
    over that stood: with True if the browser closed it, with False if it can't be reached any more.
    """

    def __init__(self, ice: Ice, received: Callable[[int, int, bytes], None], ended: Callable[[bool], None]) -> None:
        configuration = RTCConfiguration(iceServers=list(ice.servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._ice, self._received, self._ended = ice, received, ended
        self._connection = RTCPeerConnection(configuration)
        self._agent_track = _AgentTrack()
        self._is_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        self._connection.add_listener("connectionstatechange", self._on_state_change)

    async def answer(self, offer: str) -> str:
        """The answer to an offer.  Raises BadOffer."""
        offer = "\r\n".join(offer.splitlines()) + "\r\n"  # as whoever parses it divides it
        if _MEDIA.findall(offer) != ["audio"]:
            raise BadOffer("it must have one section, of audio")
        if not self._ice.servers:
            offer = _CANDIDATE.sub("", offer)
        transceiver = self._connection.addTransceiver(self._agent_track, direction="sendrecv")
        opus = [entry for entry in RTCRtpSender.getCapabilities("audio").codecs if entry.mimeType == "audio/opus"]
        transceiver.setCodecPreferences(opus)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            if not transceiver.receiver or transceiver.mid is None:
                raise BadOffer("it has no audio that can be answered")
            self._listen(transceiver.receiver)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except BAD_OFFER as error:
            raise BadOffer(f"it can't be answered: {str(error)[:100]}") from error
        return shown(self._connection.localDescription.sdp, self._ice)

    def _listen(self, receiver: Any) -> None:
        """Take packets as they come: aiortc's own receiver decodes in a thread for each call, behind a buffer of its own.

        The statistics stay its own, for the reports that tell the browser how its audio arrives.
        """
        streams: dict[int, StreamStatistics] = receiver._RTCRtpReceiver__remote_streams  # noqa: SLF001

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
            del arrival_time_ms  # our own clock is read where it is needed
            if packet.ssrc not in streams:
                streams.clear()  # one stream at a time, however many somebody invents
                streams[packet.ssrc] = StreamStatistics(WIDE_HZ)
            streams[packet.ssrc].add(packet)
            self._received(packet.sequence_number, packet.timestamp, packet.payload)

        receiver._handle_rtp_packet = take  # noqa: SLF001

    async def connected(self) -> bool:
        """Wait until it stands; False if it never will."""
        return await asyncio.shield(self._is_up)

    def send(self, packet: bytes, stamp: int) -> None:
        encoded = Packet(packet)
        encoded.pts, encoded.time_base = stamp, Fraction(1, WIDE_HZ)
        self._agent_track.packets.put_nowait(encoded)

    def hang_up(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.close(), name="peer closes")

    async def closed(self) -> None:
        """Close it, and wait until its sockets are."""
        self.hang_up()
        assert self._closing is not None, "it is closing"
        await self._closing

    def _on_state_change(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._is_up.done():
            self._is_up.set_result(True)
        elif state in {"failed", "closed"}:
            if not self._is_up.done():
                self._is_up.set_result(False)
            elif self._is_up.result() and self._closing is None:
                self._ended(not self._is_lost())
            self.hang_up()

    def _is_lost(self) -> bool:
        """Whether the network ended it: then aiortc's own end of it may come first, and hide that."""
        transports = (entry.receiver.transport.transport for entry in self._connection.getTransceivers())
        return self._connection.connectionState == "failed" or any(entry.state == "failed" for entry in transports)


def shown(answer: str, ice: Ice) -> str:
    """An answer as the browser gets it: with the announced address for the bound one, and no other of this machine."""
    lines = []
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            parts = line.split(" ")
            if parts[4] == ice.bound:
                parts[4] = ice.announced
            elif " typ host" in line:
                continue
            if "raddr" in parts:  # where it was seen from, which is the machine's own address
                place = parts.index("raddr")
                parts[place + 1], parts[place + 3] = "0.0.0.0" if ":" not in ice.bound else "::", "9"
            line = " ".join(parts)
        elif line.startswith("c=IN ") and line.endswith(f" {ice.bound}"):
            line = f"c=IN {'IP6' if ':' in ice.announced else 'IP4'} {ice.announced}"
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"
