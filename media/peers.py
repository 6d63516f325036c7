"""Calls from browsers: control forwards their offers; an offer that is answered and then connected becomes a call.

offer ─▶ answer ─▶ control ─▶ browser          connected ─▶ BrowserLeg ─▶ Shell, as a carrier's stream
                                               not in time ─▶ reported to control, and the call ends

Places for connections that are being set up are few, and an offer that nobody follows up keeps its place for seconds.  At the limit an offer gives
way to a new one, the oldest of an organization that would still have as many as the new one's, or else of that organization itself. One that has none
gets the place that another organization has had longest, if that is two seconds: none keeps the others out.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol

from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.legs.browser import BrowserLeg
from media.legs.peer import BadOffer, Ice, Peer
from media.server import MediaServer
from media.shell import Shell

LOG = log(__name__)
NOT_CONNECTED = "not_connected"
#: The reason why an offer of an organization with many was given up for a newer one.
GAVE_WAY = "gave_way"
#: The reason of a refusal: the offer is being answered already.
REPEATED = "repeated"
MAX_REASON_CHARS = 200
#: Stands for an organization none of whose calls is being connected.
ANY_OTHER = "any other"
#: How long an organization's only offer keeps its place before it gives way to another's first; browsers connect within less.
CONNECTING_MS = 2_000


class Place(NamedTuple):
    """A place of a call that is being connected; `since_ms`: when its organization got it."""

    organization: str
    since_ms: float


def giving_way(connecting: Mapping[str, Place], organization: str, now_ms: float) -> str | None:
    """Return the call that gives way to a new one of this organization, None if none does.

    That is the oldest of the organization with most; the organization's own, if none has two more than it; and to an organization without one the
    call whose organization has had its place longest, unless that is too short to connect.

    `connecting`: oldest first.  An unnamed organization, of an earlier release of control, neither gains nor loses a place.
    """
    if not organization:
        return None
    named = {call: place for call, place in connecting.items() if place.organization}
    counts = Counter(place.organization for place in named.values())
    most = max(counts, key=lambda other: counts[other], default=organization)
    if counts[most] >= counts[organization] + 2 or counts[organization]:
        loser = most if counts[most] >= counts[organization] + 2 else organization
        return next(call for call, place in named.items() if place.organization == loser)
    longest = min(named, key=lambda call: named[call].since_ms, default=None)
    return longest if longest is not None and now_ms - named[longest].since_ms >= CONNECTING_MS else None


class OfferReply(Protocol):
    """A function that reports an offer's outcome to control."""

    def __call__(self, reply: pb.BrowserReply, /) -> None:
        """Send the reply; it is dropped while the link is down."""


class Peers:
    """The browsers of one process: those that are being connected, and those in a call."""

    def __init__(self, server: MediaServer, ice: Ice, reply: OfferReply) -> None:
        self._server, self._ice, self._reply = server, ice, reply
        self._settings, self._clock = server.ports.settings, server.ports.clock
        #: By call, oldest first: its place, and the task that connects it.
        self._connecting: dict[str, tuple[Place, asyncio.Task[None]]] = {}
        self._talking: dict[BrowserLeg, Shell] = {}

    @property
    def connecting(self) -> int:
        """The number of peer connections that are being set up."""
        return len(self._connecting)

    def refuses(self) -> str | None:
        """Return why control should send this process no more offers, or None if it takes them."""
        if (reason := self._server.refuses()) is not None:
            return reason
        # An organization that has none waiting gets a place as long as another has several, or one for long.
        return "full" if self._crowded() and giving_way(self._waiting(), ANY_OTHER, self._clock()) is None else None

    def offered(self, offer: pb.BrowserOffer) -> None:
        """Answer an offer, or refuse it; at the limit another gives way to it."""
        reason = REPEATED if offer.call_id in self._connecting else self._server.refuses()
        place = Place(offer.organization_id, self._clock())
        if reason is None and self._crowded():
            if (given_up := self._make_way(offer.organization_id)) is None:
                reason = "full"
            elif given_up.organization == offer.organization_id:
                # Or an organization that offers anew again and again would have its place for ever.
                place = given_up
        if reason is not None:
            metrics.STREAMS.labels(reason).inc()
            self._reply(pb.BrowserReply(call_id=offer.call_id, refused=reason))
            return
        task = asyncio.create_task(self._connect(offer), name="browser")
        self._connecting[offer.call_id] = place, task
        task.add_done_callback(partial(self._done, offer.call_id))

    def _crowded(self) -> bool:
        calls = self.connecting + self._server.streams.calls
        return self.connecting >= self._settings.browser_waiting or calls >= self._settings.browser_calls

    def _waiting(self) -> dict[str, Place]:
        return {call_id: place for call_id, (place, _) in self._connecting.items()}

    def _make_way(self, organization: str) -> Place | None:
        """Give up a call that is being connected for a new one of this organization; return its place, None if none gives way."""
        if (call_id := giving_way(self._waiting(), organization, self._clock())) is None:
            return None
        place, task = self._connecting.pop(call_id)
        task.cancel()
        metrics.STREAMS.labels(GAVE_WAY).inc()
        self._reply(pb.BrowserReply(call_id=call_id, failed=GAVE_WAY))
        return place

    def _done(self, call_id: str, task: "asyncio.Task[None]") -> None:
        if (waiting := self._connecting.get(call_id)) is not None and waiting[1] is task:
            del self._connecting[call_id]
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
        tasks = [task for _, task in self._connecting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
