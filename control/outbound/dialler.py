"""The dialler: places due calls at each carrier account's pace, round-robin over the organizations.

An attempt takes three steps: it is committed; the carrier is asked, with no transaction open; the outcome is recorded.  If the
outcome is unknown (no answer, the process died), the call is looked up at the carrier twice, `look_up` apart; only if neither
look-up finds it is the number called again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Counter

from control.billing import limits
from control.calls.ending import end_call
from control.clients.twilio import CarrierCall, CarrierClient, Placement, is_refusal, was_not_sent
from control.flows.definitions import usable, usable_hours
from control.outbound import attempts, dialdecision
from control.outbound.dialdecision import DialFacts, OutboundLimits
from control.rows import each_row
from hum import ids
from hum.clock import monotonic_ms, now
from hum.connectionoverrides import OVERRIDES
from hum.contract.errors import CarrierBusy, CarrierError
from hum.ids import Kind
from hum.observe.logs import log
from storage import calls, media_places, outbound, outbound_limits
from storage.db import Db, Tx, savepoint
from storage.outbound import CallAttemptRow, FactsRow

LOG = log(__name__)
PLACED = Counter("hum_outbound_attempts_total", "Attempts at outbound calls, by what the carrier answered", ["how"])
MAX_CALL_SECONDS, CLOSE_SECONDS = 1800, 60
#: Tolerated lag of the carrier's clock behind ours.
CLOCK_SLACK = timedelta(seconds=120)
#: Calls decided per transaction, while none of them is placed.
MOST_DECISIONS = 50
#: Until this process tries a call again that it could not decide about.
FAILED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DialLimits:
    """Paces, concurrency limit, timeouts and back-off of requests to the carrier."""

    calls_per_second: float
    of_accounts: Mapping[str, float]
    our_account: str
    width: int
    pause_seconds: float
    retry_seconds: float
    #: Timeout of a request to the carrier.
    request_seconds: float
    look_up: timedelta
    ring_slack_seconds: float
    #: A media process that has been silent for longer counts as gone.
    silent: timedelta

    def of(self, account: str) -> float:
        return self.of_accounts.get(account or self.our_account, self.calls_per_second)


@dataclass(frozen=True, slots=True)
class ClaimedCall:
    """A committed attempt, and its request to the carrier."""

    attempt: CallAttemptRow
    placement: Placement
    began_ms: float
    #: When the call was created, if the database was restored after that: the call may have been placed before the restore.
    doubtful_since: datetime | None = None


class CallDialler:
    """The dialler of due calls; any number of processes may run one."""

    def __init__(
        self, db: Db, carrier: CarrierClient, public_url: str, dial_limits: DialLimits, limits: OutboundLimits
    ) -> None:
        self._db, self._carrier, self._public_url = db, carrier, public_url
        self._dial_limits, self._limits = dial_limits, limits
        #: When this process failed to decide about calls.
        self._failed_ms = dict[UUID, float]()

    # -- claiming attempts

    async def place_due(self) -> int:
        """Place the calls that are due now or soon; return how many."""
        placed = 0
        dialling = set[asyncio.Task[None]]()
        try:
            while True:
                begun, waits = await self._begin_due(self._dial_limits.width - len(dialling))
                placed += len(begun)
                dialling |= begun
                if not dialling and not waits:
                    return placed
                pause_seconds = min([self._dial_limits.pause_seconds, *waits])
                if dialling:
                    _, dialling = await asyncio.wait(
                        dialling, timeout=pause_seconds, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await asyncio.sleep(pause_seconds)
        finally:
            # Also during a shutdown, the answers to requests in flight are recorded.
            if dialling:
                await asyncio.wait(dialling)

    async def _begin_due(self, capacity: int) -> tuple[set[asyncio.Task[None]], list[float]]:
        """Begin an attempt per due account, at most `capacity`; return their tasks, and the seconds until the other accounts are due."""
        async with self._db.system() as tx:
            accounts = await outbound.accounts(tx)
        begun, waits = set[asyncio.Task[None]](), list[float]()
        for account in accounts:
            if len(begun) >= capacity:
                break
            wait_seconds, claimed = await self._claim(account)
            if claimed is not None:
                begun.add(asyncio.create_task(self._dial(claimed), name="dial"))
            if wait_seconds is not None and wait_seconds <= 1 / self._dial_limits.of(account):
                waits.append(wait_seconds)
        return begun, waits

    async def _claim(self, account: str) -> tuple[float | None, ClaimedCall | None]:
        """Begin the account's next attempt, if one may begin now; return the seconds until the next may (None: no backlog), and it."""
        async with self._db.system() as tx:
            wait_seconds = await outbound.lock_pace(tx, account)
            if wait_seconds is None or not await self._has_capacity(tx):
                return None, None
            if wait_seconds > 0:
                return wait_seconds, None
            for _ in range(MOST_DECISIONS):
                if (id := await outbound.next_due(tx, account, self._set_aside())) is None:
                    return None, None
                if (claimed := await self._decide_or_set_aside(tx, id)) is not None:
                    await outbound.pace(tx, account, 1 / self._dial_limits.of(account))
                    return 1 / self._dial_limits.of(account), claimed
        return 0.0, None

    async def _has_capacity(self, tx: Tx) -> bool:
        """Return whether the media processes could take one more call if all ringing calls were answered.

        Otherwise a callee might answer to silence.
        """
        open_nodes = [node for node in await media_places.nodes(tx, self._dial_limits.silent) if node.accepts_calls]
        if any(node.places is None for node in open_nodes):
            return True
        nodes, urls = {node.node for node in open_nodes}, {node.url for node in open_nodes}
        live = sum(row.calls for row in await media_places.in_use(tx, []) if row.node in nodes or row.url in urls)
        return sum(node.places or 0 for node in open_nodes) > live + await outbound.count_unanswered(tx)

    def _set_aside(self) -> list[UUID]:
        """Return the calls that wait because this process could not decide about them."""
        since_ms = monotonic_ms() - FAILED_SECONDS * 1000
        self._failed_ms = {id: at_ms for id, at_ms in self._failed_ms.items() if at_ms > since_ms}
        return list(self._failed_ms)

    async def _decide_or_set_aside(self, tx: Tx, id: UUID) -> ClaimedCall | None:
        """Decide about a due call; if that fails, set it aside, so that the others are placed.  Raises only UNAVAILABLE."""
        claimed: ClaimedCall | None = None

        async def decide(id: UUID) -> bool:
            nonlocal claimed
            async with savepoint(tx):
                claimed = await self._decide(tx, id)
            return True

        if not await each_row("outbound calls", [id], decide):
            self._failed_ms[id] = monotonic_ms()
            return None
        return claimed

    async def _decide(self, tx: Tx, id: UUID) -> ClaimedCall | None:
        """Begin an attempt at a due call; if it may not be placed now, defer or finish it and return None."""
        call, at = await calls.lock(tx, id), now()
        if call.status != "queued":
            await outbound.clear_due(tx, id)  # it was canceled
            return None
        row = await outbound.facts(tx, id)
        within_plan = await limits.has_quota(tx, call.org_id, "minutes")
        callee_free_at = await outbound_limits.free_at(tx, call.org_id, row.to_e164, self._limits.a_day_to_one)
        match dialdecision.decide(_facts(row, within_plan, callee_free_at), at, self._limits):
            case dialdecision.PlaceCall():
                assert row.flow_version is not None, "a call without a flow is not placed"
                attempt = await outbound.begin(tx, ids.new(), id, call.org_id, row.flow_version)
                return ClaimedCall(attempt, self._placement(attempt, row), monotonic_ms(), row.doubtful_since)
            case dialdecision.DeferCall(until, waits_for, wanted):
                await outbound.defer(tx, id, until, waits_for, wanted=wanted)
            case dialdecision.Pass(seconds):
                await outbound.organization_waits(tx, call.org_id, seconds)
            case dialdecision.End(status, reason):
                await outbound.clear_due(tx, id)
                await end_call(tx, call, status, at, reason)
        return None

    def _placement(self, attempt: CallAttemptRow, row: FactsRow) -> Placement:
        flow, name = usable(row.definition), ids.show(Kind.ATTEMPT, attempt.id)

        def url(path: str) -> str:
            return f"{self._public_url}/twilio/voice/{path}/{name}{OVERRIDES}"

        return Placement(
            account=attempt.account,
            from_e164=attempt.from_e164,
            to_e164=attempt.to_e164,
            url=url("placed"),
            status_url=url("status"),
            amd_url=url("amd") if flow.get("machine_action") else None,
            ring_seconds=row.ring_seconds,
            longest_seconds=flow.get("max_call_seconds", MAX_CALL_SECONDS) + CLOSE_SECONDS,
        )

    # -- asking the carrier

    async def _dial(self, claimed: ClaimedCall) -> None:
        try:
            await self.dial(claimed)
        # The boundary of one attempt: the others go on, and a sweep looks up this one's call at the carrier.
        except Exception:
            LOG.exception("could not record the outcome of an attempt", attempt=str(claimed.attempt.id))

    async def dial(self, claimed: ClaimedCall) -> None:
        """Ask the carrier for a call, once, and record its answer.  Raises UNAVAILABLE, BUSY, CarrierError."""
        attempt = claimed.attempt
        if claimed.doubtful_since is not None and not await self._is_new(attempt, claimed.doubtful_since):
            return
        # If this process was suspended, another may already have looked up the call and ended the attempt.
        if monotonic_ms() - claimed.began_ms > self._dial_limits.request_seconds * 1000:
            return
        try:
            call_sid = await self._carrier.place_call(claimed.placement)
        except CarrierError as error:
            await self._failed(attempt, error)
        else:
            PLACED.labels("placed").inc()
            await self._record(attempt, CarrierCall("queued", None, call_sid))

    async def _is_new(self, attempt: CallAttemptRow, since: datetime) -> bool:
        """Return whether a call from before a restore of the database is still unplaced; if that is unclear, put it back."""
        try:
            placed = await self._placed_since(attempt, since)
        except CarrierError as error:
            LOG.warning("could not look up a call at the carrier", error=str(error)[:200])
            await self._requeue(attempt, self._dial_limits.retry_seconds)
            return False
        if placed is not None:
            await self._record(attempt, placed)
        return placed is None

    async def _placed_since(self, attempt: CallAttemptRow, since: datetime) -> CarrierCall | None:
        """Return a call between the attempt's numbers with a SID that no attempt has, or None.  Raises CarrierError."""
        listed = await self._carrier.placed_calls(
            attempt.account, attempt.from_e164, attempt.to_e164, since - CLOCK_SLACK
        )
        async with self._db.system() as tx:
            known_sids = await outbound.known_sids(tx, [call.sid for call in listed])
        return next((call for call in listed if call.sid not in known_sids), None)

    async def _failed(self, attempt: CallAttemptRow, error: CarrierError) -> None:
        LOG.warning("the carrier did not place a call", error=str(error)[:200], attempt=attempt.number)
        if was_not_sent(error):
            PLACED.labels("busy" if isinstance(error, CarrierBusy) else "away").inc()
            wait = error.retry_after_seconds if isinstance(error, CarrierBusy) else self._dial_limits.retry_seconds
            await self._requeue(attempt, wait)
        elif is_refusal(error):
            PLACED.labels("refused").inc()
            await self._end(attempt, "failed", error.metadata.get("carrier_code"))
        else:
            PLACED.labels("unknown").inc()
            try:
                await self._look_up(attempt)
            except CarrierError as lookup_error:  # the sweep tries again
                LOG.warning("could not look up a call at the carrier", error=str(lookup_error)[:200])

    async def _record(self, attempt: CallAttemptRow, placed: CarrierCall) -> None:
        """Record the carrier's call for an attempt.  A call that was canceled meanwhile is ended at the carrier."""
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            await attempts.accepted(tx, call, latest, placed.sid)
            call, latest = await attempts.lock(tx, attempt.id)
            await attempts.progressed(tx, call, latest, placed.status, placed.ended_at or now())
        if call.ended_at is not None and latest.status == "under_way" and placed.status not in dialdecision.ENDINGS:
            await self._carrier.end_call(placed.sid, attempt.account)

    async def _requeue(self, attempt: CallAttemptRow, wait_seconds: float) -> None:
        """Put back a call that the carrier did not accept, and back off its account."""
        async with self._db.system() as tx:
            await outbound.pace(tx, attempt.account, wait_seconds)
        async with self._db.system() as tx:
            call, _ = await attempts.lock(tx, attempt.id)
            await outbound.withdraw(tx, attempt.id)
            if call.status == "queued":
                await outbound.defer(tx, call.id, now() + timedelta(seconds=wait_seconds), "carrier", wanted=False)

    async def _end(self, attempt: CallAttemptRow, result: str, carrier_code: str | None = None) -> None:
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            if latest.status in {"dialling", "under_way"}:
                await attempts.ended(tx, call, latest, result, now(), carrier_code)

    # -- reconciling unknown outcomes

    async def look_up_unconfirmed_attempts(self) -> int:
        """Look up the calls of attempts with unknown outcomes; return how many."""
        least_age = max(self._dial_limits.look_up, timedelta(seconds=self._dial_limits.request_seconds))
        async with self._db.system() as tx:
            await outbound.close_ended(tx, least_age)
            unknown = await outbound.unconfirmed(tx, least_age)
            silent = await outbound.claim_silent(tx, least_age, self._dial_limits.ring_slack_seconds)
        count = await each_row("outbound attempts", unknown, self._look_up)
        return count + await each_row("silent attempts", silent, self._query_status)

    async def _look_up(self, attempt: CallAttemptRow) -> bool:
        """Look up a call that may have been placed; the second look-up without result proves that it was not.  Raises CarrierError."""
        placed = await self._placed_since(attempt, attempt.started_at)
        if placed is not None:
            await self._record(attempt, placed)
            return True
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            if latest.status != "dialling":
                return True  # a webhook was first
            if attempt.looked_at is None:
                await outbound.record_lookup(tx, attempt.id)
                return True
            await outbound.end(tx, attempt.id, "not_placed", now())
            if call.status == "queued":
                await outbound.defer(tx, call.id, now(), "carrier", wanted=False)
        return True

    async def _query_status(self, attempt: CallAttemptRow) -> bool:
        """Query the status of a call that should be over.  Raises CarrierError."""
        assert attempt.call_sid is not None, "the carrier has it"
        carrier_call = await self._carrier.find_call(attempt.call_sid, attempt.account)
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            ended_at: datetime = (carrier_call.ended_at if carrier_call else None) or now()
            await attempts.progressed(tx, call, latest, carrier_call.status if carrier_call else "failed", ended_at)
        return True


def _facts(row: FactsRow, is_within_plan: bool, callee_free_at: datetime | None) -> DialFacts:
    stored = usable_hours(row.business_hours_json)
    return DialFacts(
        blocked=row.blocked,
        has_flow=row.flow_version is not None,
        number_active=bool(row.number_active),
        hours=dialdecision.quiet_hours(stored, row.time_zone, row.to_e164) if row.keeps_hours else (),
        wanted_at=row.wanted_at,
        live_calls=row.live_calls,
        placed_in_a_day=row.placed_in_a_day,
        is_within_plan=is_within_plan,
        callee_free_at=callee_free_at,
    )
