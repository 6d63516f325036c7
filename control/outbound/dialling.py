"""Placing calls, at each account's pace, the organizations in turn.

Three moments: an attempt is committed; the carrier is asked, with no transaction open; the outcome is recorded.  If that is
unknown (no answer came, the process died), the carrier is looked at, twice, the last time `look` after the first; only if it
has no such call both times is the number called again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Counter

from control.billing import limits
from control.calls.ending import finish
from control.clients.twilio import Carrier, CarrierCall, Placement, is_refusal, was_not_sent
from control.flows.stored import usable
from control.outbound import attempts, rules
from control.outbound.rules import Facts, Limits
from control.rows import each_row
from hum import ids
from hum.carrier import OVERRIDES
from hum.clock import monotonic_ms, now
from hum.errors import CarrierBusy, CarrierError
from hum.ids import Kind
from hum.telemetry import log
from storage import calls, outbound, places
from storage.db import Db, Tx
from storage.outbound import AttemptRow, FactsRow

LOG = log(__name__)
PLACED = Counter("hum_outbound_attempts_total", "Attempts at outbound calls, by what the carrier answered", ["how"])
MAX_CALL_SECONDS, CLOSE_SECONDS = 1800, 60
#: The carrier's clock may be behind ours by so much.
CLOCK_SLACK = timedelta(seconds=120)
#: Calls that are not placed, in one transaction.
MOST_DECISIONS = 50


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how patiently the carrier is asked."""

    calls_per_second: float
    of_accounts: Mapping[str, float]
    our_account: str
    width: int
    pause_seconds: float
    retry_seconds: float
    #: How long one request to the carrier may take.
    request_seconds: float
    look: timedelta
    ring_slack_seconds: float
    #: A media process that said nothing for so long is gone.
    silent: timedelta

    def of(self, account: str) -> float:
        return self.of_accounts.get(account or self.our_account, self.calls_per_second)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that is committed, and the request that makes it."""

    attempt: AttemptRow
    placement: Placement
    began_ms: float
    #: The database was restored from a backup since then: the call may have been placed already.
    doubtful_since: datetime | None = None


class Dialler:
    """Places the calls that are due; any number of processes may have one."""

    def __init__(self, db: Db, carrier: Carrier, public_url: str, pace: Pace, limits: Limits) -> None:
        self._db, self._carrier, self._public_url = db, carrier, public_url
        self._pace, self._limits = pace, limits

    # -- which

    async def place_due(self) -> int:
        """Place all calls whose turn it is, and those whose turn is soon; return how many."""
        placed = 0
        dialling = set[asyncio.Task[None]]()
        try:
            while True:
                begun, waits = await self._begin_due(self._pace.width - len(dialling))
                placed += len(begun)
                dialling |= begun
                if not dialling and not waits:
                    return placed
                pause_seconds = min([self._pace.pause_seconds, *waits])
                if dialling:
                    _, dialling = await asyncio.wait(
                        dialling, timeout=pause_seconds, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await asyncio.sleep(pause_seconds)
        finally:
            # An answer that comes is recorded, also while this process is asked to stop.
            if dialling:
                await asyncio.wait(dialling)

    async def _begin_due(self, room: int) -> tuple[set[asyncio.Task[None]], list[float]]:
        """Begin an attempt with each account whose turn has come, at most `room`; and the seconds until others' will."""
        async with self._db.system() as tx:
            waiting = await outbound.accounts(tx)
        begun, waits = set[asyncio.Task[None]](), list[float]()
        for account in waiting:
            if len(begun) >= room:
                break
            wait_seconds, claimed = await self._claim(account)
            if claimed is not None:
                begun.add(asyncio.create_task(self._dial(claimed), name="dial"))
            if wait_seconds is not None and wait_seconds <= 1 / self._pace.of(account):
                waits.append(wait_seconds)
        return begun, waits

    async def _claim(self, account: str) -> tuple[float | None, Claimed | None]:
        """Begin the next attempt with an account, if one may begin now; and the seconds until the next may, None if none waits."""
        async with self._db.system() as tx:
            wait_seconds = await outbound.lock_pace(tx, account)
            if wait_seconds is None or not await self._has_room(tx):
                return None, None
            if wait_seconds > 0:
                return wait_seconds, None
            for _ in range(MOST_DECISIONS):
                if (id := await outbound.next_due(tx, account)) is None:
                    return None, None
                if (claimed := await self._decide(tx, id)) is not None:
                    await outbound.pace(tx, account, 1 / self._pace.of(account))
                    return 1 / self._pace.of(account), claimed
        return 0.0, None

    async def _has_room(self, tx: Tx) -> bool:
        """Whether the media processes have a place for one more call, if everybody answers whose telephone rings: nobody shall
        answer to hear nothing.
        """
        taking = [node for node in await places.nodes(tx, self._pace.silent) if node.takes]
        if any(node.places is None for node in taking):
            return True
        nodes, urls = {node.node for node in taking}, {node.url for node in taking}
        held = sum(row.calls for row in await places.held(tx, []) if row.node in nodes or row.url in urls)
        return sum(node.places or 0 for node in taking) > held + await outbound.unanswered(tx)

    async def _decide(self, tx: Tx, id: UUID) -> Claimed | None:
        """Begin an attempt at a call that is due, or settle why there is none."""
        call, at = await calls.lock(tx, id), now()
        if call.status != "queued":
            await outbound.forget(tx, id)  # it was canceled
            return None
        row = await outbound.facts(tx, id)
        within_plan = await limits.has_room(tx, call.org_id, "minutes")
        match rules.decide(_facts(row, within_plan), at, self._limits):
            case rules.Dial():
                assert row.flow_version is not None, "a call without a flow is not placed"
                attempt = await outbound.begin(tx, ids.new(), id, call.org_id, row.flow_version)
                return Claimed(attempt, self._placement(attempt, row), monotonic_ms(), row.doubtful_since)
            case rules.Defer(until, waits_for):
                await outbound.defer(tx, id, until, waits_for, wanted=True)
            case rules.Pass(seconds):
                await outbound.organization_waits(tx, call.org_id, seconds)
            case rules.End(status, reason):
                await outbound.forget(tx, id)
                await finish(tx, call, status, at, reason)
        return None

    def _placement(self, attempt: AttemptRow, row: FactsRow) -> Placement:
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

    async def _dial(self, claimed: Claimed) -> None:
        try:
            await self.dial(claimed)
        except Exception:  # whatever it was, the sweep finds out what became of the call
            LOG.exception("an attempt's outcome is not recorded", attempt=str(claimed.attempt.id))

    async def dial(self, claimed: Claimed) -> None:
        """Ask the carrier for a call, once, and record its answer.  Raises AWAY, BUSY, CarrierError."""
        attempt = claimed.attempt
        if claimed.doubtful_since is not None and not await self._is_new(attempt, claimed.doubtful_since):
            return
        if monotonic_ms() - claimed.began_ms > self._pace.request_seconds * 1000:
            return  # this process stood still for so long that others may have looked for the call already
        try:
            call_sid = await self._carrier.place_call(claimed.placement)
        except CarrierError as error:
            await self._failed(attempt, error)
        else:
            PLACED.labels("placed").inc()
            await self._record(attempt, CarrierCall("queued", None, call_sid))

    async def _is_new(self, attempt: AttemptRow, since: datetime) -> bool:
        """Whether a call that the database had before it was restored is still to be placed.  If that can't be told, it waits."""
        try:
            ours = await self._placed_since(attempt, since)
        except CarrierError as error:
            LOG.warning("the carrier can't be asked about a call", error=str(error)[:200])
            await self._put_back(attempt, self._pace.retry_seconds)
            return False
        if ours is not None:
            await self._record(attempt, ours)
        return ours is None

    async def _placed_since(self, attempt: AttemptRow, since: datetime) -> CarrierCall | None:
        """Return a call between the attempt's numbers that no attempt is known to have placed.  Raises CarrierError."""
        found = await self._carrier.placed_calls(
            attempt.account, attempt.from_e164, attempt.to_e164, since - CLOCK_SLACK
        )
        async with self._db.system() as tx:
            known = await outbound.known_sids(tx, [each.sid for each in found])
        return next((each for each in found if each.sid not in known), None)

    async def _failed(self, attempt: AttemptRow, error: CarrierError) -> None:
        LOG.warning("the carrier did not place a call", error=str(error)[:200], attempt=attempt.number)
        if was_not_sent(error):
            PLACED.labels("busy" if isinstance(error, CarrierBusy) else "away").inc()
            wait = error.retry_after_seconds if isinstance(error, CarrierBusy) else self._pace.retry_seconds
            await self._put_back(attempt, wait)
        elif is_refusal(error):
            PLACED.labels("refused").inc()
            await self._end(attempt, "failed", error.metadata.get("carrier_code"))
        else:
            PLACED.labels("unknown").inc()
            try:
                await self._look_for(attempt)
            except CarrierError as away:  # the sweep looks later
                LOG.warning("the carrier can't be asked about a call", error=str(away)[:200])

    async def _record(self, attempt: AttemptRow, found: CarrierCall) -> None:
        """The carrier has the call.  One that was canceled meanwhile is ended there."""
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            await attempts.accepted(tx, call, latest, found.sid)
            call, latest = await attempts.lock(tx, attempt.id)
            await attempts.progressed(tx, call, latest, found.status, found.ended_at or now())
        if call.ended_at is not None and latest.status == "under_way" and found.status not in rules.ENDINGS:
            await self._carrier.end_call(found.sid, attempt.account)

    async def _put_back(self, attempt: AttemptRow, wait_seconds: float) -> None:
        """The carrier has not taken the call: it is asked again later, and for no other of this account before."""
        async with self._db.system() as tx:
            await outbound.pace(tx, attempt.account, wait_seconds)
        async with self._db.system() as tx:
            call, _ = await attempts.lock(tx, attempt.id)
            await outbound.withdraw(tx, attempt.id)
            if call.status == "queued":
                await outbound.defer(tx, call.id, now() + timedelta(seconds=wait_seconds), "carrier", wanted=False)

    async def _end(self, attempt: AttemptRow, result: str, carrier_code: str | None = None) -> None:
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            if latest.status in {"dialling", "under_way"}:
                await attempts.ended(tx, call, latest, result, now(), carrier_code)

    # -- what the carrier has not told

    async def sweep(self) -> int:
        """Look for the calls of attempts whose fate nobody has told; return how many looks it took."""
        look = max(self._pace.look, timedelta(seconds=self._pace.request_seconds))
        async with self._db.system() as tx:
            await outbound.close_ended(tx, look)
            unknown = await outbound.unknown(tx, look)
            silent = await outbound.silent(tx, look, self._pace.ring_slack_seconds)
        looked = await each_row("outbound attempts", unknown, self._look_for)
        return looked + await each_row("silent attempts", silent, self._ask_about)

    async def _look_for(self, attempt: AttemptRow) -> bool:
        """Look for a call that may have been placed.  At the second look that finds none, there is none.  Raises CarrierError."""
        ours = await self._placed_since(attempt, attempt.started_at)
        if ours is not None:
            await self._record(attempt, ours)
            return True
        async with self._db.system() as tx:
            call, latest = await attempts.lock(tx, attempt.id)
            if latest.status != "dialling":
                return True  # a webhook has told
            if attempt.looked_at is None:
                await outbound.looked(tx, attempt.id)
                return True
            await outbound.end(tx, attempt.id, "not_placed", now())
            if call.status == "queued":
                await outbound.defer(tx, call.id, now(), "carrier", wanted=False)
        return True

    async def _ask_about(self, attempt: AttemptRow) -> bool:
        """Ask the carrier about a call that should be over.  Raises CarrierError."""
        assert attempt.call_sid is not None, "the carrier has it"
        found = await self._carrier.find_call(attempt.call_sid, attempt.account)
        async with self._db.system() as tx:
            await outbound.looked(tx, attempt.id)
            call, latest = await attempts.lock(tx, attempt.id)
            ended_at: datetime = (found.ended_at if found else None) or now()
            await attempts.progressed(tx, call, latest, found.status if found else "failed", ended_at)
        return True


def _facts(row: FactsRow, is_within_plan: bool) -> Facts:
    return Facts(
        blocked=row.blocked,
        has_flow=row.flow_version is not None,
        number_active=bool(row.number_active),
        hours=rules.quiet_hours(row.business_hours_json, row.time_zone, row.to_e164) if row.keeps_hours else (),
        wanted_at=row.wanted_at,
        live_calls=row.live_calls,
        placed_in_a_day=row.placed_in_a_day,
        is_within_plan=is_within_plan,
    )
