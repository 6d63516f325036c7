"""One WebRTC peer connection, by aiortc: the answer to a browser's offer, then RTP in both directions.

No other module imports aiortc.  An offer must have exactly one section, of audio, with Opus.  The answer reveals no address of
this machine but the one that the operator set.  The addresses in an offer are ignored unless there are ICE servers: the browser
reaches us at our own address, and a caller must not be able to make us send packets to an address of their choice.  With ICE
servers, those on the public internet are tried, and none inside the operator's network.
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

from hum.observe.logs import log
from hum.publicaddress import is_public, parse_address
from media.legs.opus import WIDE_HZ

LOG = log(__name__)
CONSENT_FAILURES = 5
ANSWER_SECONDS = 0.5  # aioice's, for an unrepeated check
#: A documentation address (RFC 5737): connecting a UDP socket to it finds our outgoing address without sending a packet.
FAR_AWAY = ("192.0.2.1", 9)
_CANDIDATE = re.compile(r"^a=(?:candidate:(?P<fields>.*)|end-of-candidates.*)\r?\n", re.MULTILINE)
_MEDIA = re.compile(r"^m=(\S+)", re.MULTILINE)
_SERVER = re.compile(
    r"(?P<scheme>stun|turn|turns):(?:(?P<user>[^:@]+):(?P<password>[^@]+)@)?(?P<at>[^@?]+(?:\?transport=(?:udp|tcp))?)"
)
#: The exceptions of aiortc for a malformed offer: its parser does not check the syntax.
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
    """The offer can't be answered."""


@dataclass(frozen=True, slots=True)
class Ice:
    """The addresses at which browsers reach this process, and the ICE servers."""

    bound: str  # the address of our sockets
    announced: str  # the address in our answers
    servers: tuple[RTCIceServer, ...] = ()

    @classmethod
    def of(cls, host: str, servers: str) -> "Ice":
        """Parse `HUM_ICE_HOST` and `HUM_ICE_SERVERS`.  Raises ValueError with a message for the operator."""
        if not host:
            own = _own_address()
            return cls(own, own, ice_servers(servers))
        try:
            announced = str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
        except OSError as error:
            raise ValueError(f"HUM_ICE_HOST={host} has no address: {error.strerror}") from error
        # Behind address translation, the announced address is not one of this machine's.
        bound = announced if _is_ours(announced) else _own_address()
        return cls(bound, announced, ice_servers(servers))

    def use(self, lost_seconds: float) -> None:
        """Apply these addresses to all connections of this process, which count as lost after `lost_seconds`."""
        bound = self.bound

        def only(use_ipv4: bool, use_ipv6: bool) -> list[str]:
            return [bound] if (use_ipv4 if ip_address(bound).version == 4 else use_ipv6) else []

        aioice.ice.get_host_addresses = only
        aioice.ice.CONSENT_FAILURES = CONSENT_FAILURES
        interval = max(0.2, lost_seconds / CONSENT_FAILURES - ANSWER_SECONDS)
        aioice.ice.CONSENT_INTERVAL = interval  # type: ignore[assignment]  # seconds need not be whole


def ice_servers(text: str) -> tuple[RTCIceServer, ...]:
    """Parse comma-separated `stun:host:port` and `turn:user:password@host:port?transport=tcp`.

    Raises ValueError with a message for the operator.
    """
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
    """Return the address from which this machine reaches the internet, or loopback if it has no route."""
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
    """The agent's audio as encoded packets, which aiortc sends as they are."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[Packet[Any] | None] = asyncio.Queue()

    async def recv(self) -> Any:
        """Return the next packet: aiortc accepts packets as well as the frames that it declares."""
        packet = await self.packets.get()
        if packet is None:
            raise MediaStreamError
        return packet


class Peer:
    """A peer connection.

    `received` gets the sequence number, time and payload of each RTP packet.  `ended` is called once, when an established
    connection ends: with True if the browser closed it, with False if the connection is lost.
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
        """Return the answer to an offer.  Raises BadOffer."""
        # Normalize the line ends first, so that the checks below see the lines that aiortc's parser sees.
        offer = "\r\n".join(offer.splitlines()) + "\r\n"
        if _MEDIA.findall(offer) != ["audio"]:
            raise BadOffer("it must have one section, of audio")
        offer = tried(offer, bool(self._ice.servers))
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
        """Pass each RTP packet to `received`, in place of aiortc's receiver, which buffers and decodes in a thread per call.

        The receiver's statistics are still updated: they are the source of the RTCP reports to the browser.
        """
        streams: dict[int, StreamStatistics] = receiver._RTCRtpReceiver__remote_streams  # noqa: SLF001

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
            del arrival_time_ms  # the leg reads our own clock
            if packet.ssrc not in streams:
                # One stream at a time: a browser could send any number of SSRCs.
                streams.clear()
                streams[packet.ssrc] = StreamStatistics(WIDE_HZ)
            streams[packet.ssrc].add(packet)
            self._received(packet.sequence_number, packet.timestamp, packet.payload)

        receiver._handle_rtp_packet = take  # noqa: SLF001

    async def connected(self) -> bool:
        """Wait until the connection is established; return False if that failed."""
        return await asyncio.shield(self._is_up)

    def send(self, packet: bytes, stamp: int) -> None:
        """Send a packet with its time on the RTP clock."""
        encoded = Packet(packet)
        encoded.pts, encoded.time_base = stamp, Fraction(1, WIDE_HZ)
        self._agent_track.packets.put_nowait(encoded)

    def hang_up(self) -> None:
        """Begin to close the connection."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.close(), name="peer closes")

    async def closed(self) -> None:
        """Close the connection, and wait until its sockets are closed."""
        self.hang_up()
        assert self._closing is not None, "hang_up has set it"
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
        """Return whether the network ended the connection.

        In that case, aiortc may report the connection as closed first, so the transports' states are checked as well.
        """
        transports = (entry.receiver.transport.transport for entry in self._connection.getTransceivers())
        return self._connection.connectionState == "failed" or any(entry.state == "failed" for entry in transports)


def tried(offer: str, has_servers: bool) -> str:
    """Return an offer with those of its addresses to which packets may be sent: public ones, if there are ICE servers.

    A candidate with a name in place of its address goes too: it would have to be looked up (RFC 8839 5.1).
    """

    def kept(candidate: re.Match[str]) -> str:
        fields = (candidate["fields"] or "").split()
        address = parse_address(fields[4]) if len(fields) > 4 else None
        return candidate[0] if has_servers and address is not None and is_public(address) else ""

    return _CANDIDATE.sub(kept, offer)


def shown(answer: str, ice: Ice) -> str:
    """Return the answer for the browser: the announced address replaces the bound one, and no other address is in it."""
    lines = []
    for line in answer.splitlines():
        if line.startswith("a=candidate:"):
            parts = line.split(" ")
            if parts[4] == ice.bound:
                parts[4] = ice.announced
            elif " typ host" in line:
                continue
            # The related address is one of this machine's own.
            if "raddr" in parts:
                place = parts.index("raddr")
                parts[place + 1], parts[place + 3] = "0.0.0.0" if ":" not in ice.bound else "::", "9"
            line = " ".join(parts)
        elif line.startswith("c=IN ") and line.endswith(f" {ice.bound}"):
            line = f"c=IN {'IP6' if ':' in ice.announced else 'IP4'} {ice.announced}"
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"
