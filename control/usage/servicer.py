"""UsageService (proto/hum/v1/usage.proto)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta
from uuid import UUID

from control.base.days import midnight, today, window
from control.base.wire import timestamp
from control.boundary import TransactionContext
from control.usage import meters, present
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import usage_pb2 as pb
from storage import contacts, identity, studio, usage
from storage.db import Tx
from storage.usage import GroupedLines

ONE_DAY = timedelta(days=1)
#: The limit of groups by flow or number: those that used most.
MOST_GROUPS = 200
QUERIES = {
    pb.USAGE_GROUPING_UNSPECIFIED: usage.BY_DAY,
    pb.USAGE_GROUPING_DAY: usage.BY_DAY,
    pb.USAGE_GROUPING_FLOW: usage.BY_FLOW,
    pb.USAGE_GROUPING_NUMBER: usage.BY_NUMBER,
}


#: The studio's counters by their names in its table.
OF_STUDIO = {
    "clip": pb.USAGE_QUOTA_KIND_CLIPS,
    "trial": pb.USAGE_QUOTA_KIND_TRIALS,
    "proposal": pb.USAGE_QUOTA_KIND_PROPOSALS,
    "preview": pb.USAGE_QUOTA_KIND_PREVIEWS,
}


class UsageServicer:
    """The service of usage.  `limits`: an organization's daily limit, by kind."""

    def __init__(self, limits: Mapping[pb.UsageQuotaKind.ValueType, int]) -> None:
        self._limits = limits

    async def GetUsage(self, request: pb.GetUsageRequest, ctx: TransactionContext) -> pb.GetUsageResponse:
        time_zone, at = (await identity.organization(ctx.tx, ctx.organization)).time_zone, now()
        days = window(
            today(at, time_zone),
            None,
            date.fromisoformat(request.first_day) if request.HasField("first_day") else None,
            date.fromisoformat(request.last_day) if request.HasField("last_day") else None,
        )
        since, until = midnight(days[0], time_zone), midnight(days[-1] + ONE_DAY, time_zone)
        unread_since = await usage.unread_since(ctx.tx)
        grouped = await usage.grouped_lines(ctx.tx, QUERIES[request.group_by], since, until, time_zone)
        return pb.GetUsageResponse(
            time_zone=time_zone,
            totals=present.figures(grouped.total),
            groups=_groups(request.group_by, grouped, days),
            counted_until=timestamp(min(unread_since or at, at)),
            quotas=await self._quotas(ctx.tx, at.astimezone(UTC).date()),
        )

    async def _quotas(self, tx: Tx, day: date) -> list[pb.UsageQuota]:
        used = {OF_STUDIO[kind]: count for kind, count in (await studio.uses(tx, day)).items()}
        used[pb.USAGE_QUOTA_KIND_LOOKUPS] = await contacts.count_lookups(tx)
        return [pb.UsageQuota(kind=kind, used=used.get(kind, 0), limit=limit) for kind, limit in self._limits.items()]


def _groups(by: pb.UsageGrouping.ValueType, grouped: GroupedLines, days: Sequence[date]) -> list[pb.UsageGroup]:
    if by in {pb.USAGE_GROUPING_UNSPECIFIED, pb.USAGE_GROUPING_DAY}:
        return [
            pb.UsageGroup(date=day.isoformat(), figures=present.figures(grouped.groups.get(day, []))) for day in days
        ]
    kind, field = (Kind.FLOW, "flow_id") if by == pb.USAGE_GROUPING_FLOW else (Kind.NUMBER, "number_id")
    sized = [(id, rows) for id, rows in grouped.groups.items() if isinstance(id, UUID)]
    sized.sort(key=lambda group: (-meters.size((row.meter, row.quantity) for row in group[1]), str(group[0])))
    return [
        pb.UsageGroup(figures=present.figures(rows), **({field: ids.show(kind, id)} if id.int else {}))
        for id, rows in sized[:MOST_GROUPS]
    ]
