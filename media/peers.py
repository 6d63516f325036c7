"""Calls from browsers: control forwards their offers; an offer that is answered and then connected becomes a call.

offer ─▶ answer ─▶ control ─▶ browser          connected ─▶ BrowserLeg ─▶ Shell, as a carrier's stream
                                               not in time ─▶ reported to control, and the call ends
"""

import asyncio
from functools import partial
from typing import Protocol

from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.legs.browser import BrowserLeg
from media.legs.peer import BadOffer, Ice, Peer
from media.server import MediaServer
from media.shell import Shell

LOG = log(__name__)
NOT_CONNECTED = "not_connected"
#: The reason of a refusal: the offer is being answered already.
REPEATED = "repeated"
MAX_REASON_CHARS = 200


class OfferReply(Protocol):
    """A function that reports an offer's outcome to control."""

    def __call__(self, reply: pb.BrowserReply, /) -> None:
        """Send the reply; it is dropped while the link is down."""


class Peers:
    """The browsers of one process: those that are being connected, and those in a call."""

    def __init__(self, server: MediaServer, ice: Ice, reply: OfferReply) -> None:
        self._server, self._ice, self._reply = server, ice, reply
        self._settings, self._clock = server.ports.settings, server.ports.clock
        self._connecting: dict[str, asyncio.Task[None]] = {}
        self._talking: dict[BrowserLeg, Shell] = {}

    @property
    def connecting(self) -> int:
        """The number of peer connections that are being set up."""
        return len(self._connecting)

    def refuses(self) -> str | None:
        """Return why control should send this process no more offers, or None if it takes them."""
        if (reason := self._server.refuses()) is not None:
            return reason
        calls = self.connecting + self._server.streams.calls
        crowded = self.connecting >= self._settings.browser_waiting or calls >= self._settings.browser_calls
        return "full" if crowded else None

    def offered(self, offer: pb.BrowserOffer) -> None:
        """Answer an offer, or refuse it."""
        if (reason := REPEATED if offer.call_id in self._connecting else self.refuses()) is not None:
            metrics.STREAMS.labels(reason).inc()
            self._reply(pb.BrowserReply(call_id=offer.call_id, refused=reason))
            return
        task = asyncio.create_task(self._connect(offer), name="browser")
        self._connecting[offer.call_id] = task
        task.add_done_callback(partial(self._done, offer.call_id))

    def _done(self, call_id: str, task: "asyncio.Task[None]") -> None:
        self._connecting.pop(call_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("could not begin a browser's call: this is a bug", call=call_id, exc_info=error)
            self._reply(pb.BrowserReply(call_id=call_id, failed="internal error"))

    async def _connect(self, offer: pb.BrowserOffer) -> None:
        leg: BrowserLeg | None = None

        def received(sequence: int, stamp: int, payload: bytes) -> None:
            if leg is not None and leg.is_open:
                leg.received(sequence, stamp, payload, self._clock())

        def ended(by_browser: bool) -> None:
            if leg is not None:
                leg.gone(by_browser=by_browser)

        peer = Peer(self._ice, received, ended)
        try:
            if not await self._is_up(peer, offer):
                return
            leg = BrowserLeg(peer, self._settings, self._clock())
            self._begin(leg, offer)
        finally:
            if leg is None:
                await peer.closed()

    async def _is_up(self, peer: Peer, offer: pb.BrowserOffer) -> bool:
        """Answer the offer and wait for the connection; report a failure to control."""
        try:
            async with asyncio.timeout(self._settings.browser_connect_seconds):
                answer = await peer.answer(offer.sdp)
                self._reply(pb.BrowserReply(call_id=offer.call_id, answer=answer))
                is_up = await peer.connected()
        except BadOffer as error:
            metrics.STREAMS.labels("bad_offer").inc()
            self._reply(pb.BrowserReply(call_id=offer.call_id, bad_offer=str(error)[:MAX_REASON_CHARS]))
            return False
        except TimeoutError:
            is_up = False
        if not is_up:
            metrics.STREAMS.labels(NOT_CONNECTED).inc()
            self._reply(pb.BrowserReply(call_id=offer.call_id, failed=NOT_CONNECTED))
        return is_up

    def _begin(self, leg: BrowserLeg, offer: pb.BrowserOffer) -> None:
        # From now on it counts as a call.
        self._connecting.pop(offer.call_id, None)
        shell = self._server.admit(leg)
        self._talking[leg] = shell
        leg.begin(shell, offer.call_id, f"browser:{offer.call_id}", offer.token)

    # Time.

    def tick(self, now_ms: float) -> None:
        """Tick all browser legs: called on each tick of the ticker."""
        for leg, shell in tuple(self._talking.items()):
            try:
                leg.tick(now_ms)
            # The boundary between calls: the exception must not end the other legs' ticks.
            except Exception:
                LOG.exception("bug in a browser's call", call=shell.call_id)
                shell.fail()
                leg.abort()
                shell.leg_gone()
            if not leg.is_open:
                del self._talking[leg]

    async def close(self) -> None:
        """Cancel the connections that are being set up."""
        tasks = tuple(self._connecting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
