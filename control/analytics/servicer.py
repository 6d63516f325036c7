"""AnalyticsService (proto/hum/v1/analytics.proto)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TypeVar
from uuid import UUID

from control.analytics import percentiles
from control.analytics import present as presented
from control.analytics.present import CountedTexts
from control.base import days
from control.base.principal import has_scope
from control.boundary import TransactionContext
from control.calls import present
from control.transfers.record import NOT_TAKEN
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import analytics_pb2 as pb
from storage import analytics, call_records, flows, identity, text_analytics
from storage.analytics import AnalyticsSpan, BandRow, FiguresRow

DASHBOARD_DAYS, RECENT_CALLS = 7, 5
#: The scope of a key that is shown calls, and not only figures.
CALLS = "calls:read"
NOTHING = FiguresRow()

ONE_DAY, DAY_HOURS = timedelta(days=1), 24

Bands = dict[str, list[tuple[int, int]]]
KeyT = TypeVar("KeyT")


class AnalyticsServicer:
    """The servicer of analytics."""

    async def GetAnalytics(self, request: pb.GetAnalyticsRequest, ctx: TransactionContext) -> pb.GetAnalyticsResponse:
        flow = ids.require(Kind.FLOW, request.flow_id) if request.flow_id else None
        if flow is not None:
            await flows.get(ctx.tx, flow)
        time_zone = request.time_zone or (await identity.organization(ctx.tx, ctx.organization)).time_zone
        return await _with_tags(ctx, _window(request, time_zone), time_zone, flow)

    async def GetTextAnalytics(
        self, request: pb.GetTextAnalyticsRequest, ctx: TransactionContext
    ) -> pb.GetTextAnalyticsResponse:
        time_zone = request.time_zone or (await identity.organization(ctx.tx, ctx.organization)).time_zone
        window = _window(request, time_zone)
        span = _span(window, time_zone, None)
        counted = CountedTexts(
            await text_analytics.figures(ctx.tx, span),
            await text_analytics.answered(ctx.tx, span),
            await text_analytics.campaigns(ctx.tx, span),
        )
        return presented.texts(window, time_zone, counted)

    async def GetFlowMetrics(
        self, request: pb.GetFlowMetricsRequest, ctx: TransactionContext
    ) -> pb.GetFlowMetricsResponse:
        flow = ids.require(Kind.FLOW, request.id)
        await flows.get(ctx.tx, flow)
        time_zone = (await identity.organization(ctx.tx, ctx.organization)).time_zone
        window = _window(request, time_zone)
        return pb.GetFlowMetricsResponse(analytics=await _with_tags(ctx, window, time_zone, flow))

    async def GetDashboard(self, _: pb.GetDashboardRequest, ctx: TransactionContext) -> pb.GetDashboardResponse:
        time_zone = (await identity.organization(ctx.tx, ctx.organization)).time_zone
        window = days.window(days.today(now(), time_zone), DASHBOARD_DAYS)
        week = await _analytics(ctx, window, time_zone, None)
        current = await analytics.current_counts(ctx.tx, NOT_TAKEN)
        # Figures are of the organization; a call is its people's.
        may_read = ctx.principal.key_id is None or has_scope(ctx.principal.scopes, CALLS)
        recent = await call_records.page(ctx.tx, call_records.CallFilter(), None, RECENT_CALLS) if may_read else []
        return pb.GetDashboardResponse(
            time_zone=time_zone,
            live_calls=current.live_calls,
            unheard_voicemails=current.unheard_voicemails,
            untaken_transfers=current.untaken_transfers,
            numbers=current.numbers,
            flows=current.flows,
            contacts=current.contacts,
            today=week.days[-1].figures,
            week=week.totals,
            days=week.days,
            recent_calls=[present.listed(row) for row in recent],
        )


def _window(
    request: pb.GetAnalyticsRequest | pb.GetTextAnalyticsRequest | pb.GetFlowMetricsRequest, time_zone: str
) -> list[date]:
    return days.window(
        days.today(now(), time_zone),
        request.days if request.HasField("days") else None,
        date.fromisoformat(request.first_day) if request.HasField("first_day") else None,
        date.fromisoformat(request.last_day) if request.HasField("last_day") else None,
    )


def _span(window: Sequence[date], time_zone: str, flow: UUID | None) -> AnalyticsSpan:
    since, until = days.midnight(window[0], time_zone), days.midnight(window[-1] + ONE_DAY, time_zone)
    return AnalyticsSpan(since, until, time_zone, flow)


async def _with_tags(
    ctx: TransactionContext, window: Sequence[date], time_zone: str, flow: UUID | None
) -> pb.GetAnalyticsResponse:
    """Return the figures with those by tag, which no roll-up has."""
    answer = await _analytics(ctx, window, time_zone, flow)
    tags = await analytics.tags(ctx.tx, _span(window, time_zone, flow))
    answer.tags.extend(pb.NamedFigures(name=tag, **_counts(row)) for tag, row in _largest_first(tags))
    return answer


async def _analytics(
    ctx: TransactionContext, window: Sequence[date], time_zone: str, flow: UUID | None
) -> pb.GetAnalyticsResponse:
    span = _span(window, time_zone, flow)
    grouped = await analytics.figures(ctx.tx, span)
    waits = _by_day(await analytics.latencies(ctx.tx, span))
    return pb.GetAnalyticsResponse(
        time_zone=time_zone,
        totals=_figures(grouped.total, waits[None]),
        days=[
            pb.DayFigures(date=day.isoformat(), figures=_figures(grouped.by_day.get(day, NOTHING), waits[day]))
            for day in window
        ],
        flows=[
            pb.FlowFigures(flow_id=ids.show(Kind.FLOW, id) if id.int else None, **_counts(row))
            for id, row in _largest_first(grouped.by_flow)
        ],
        outcomes=[
            pb.NamedFigures(name=name or None, **_counts(row)) for name, row in _largest_first(grouped.by_outcome)
        ],
        statuses=[pb.NamedFigures(name=name, **_counts(row)) for name, row in _largest_first(grouped.by_status)],
        hours=[
            pb.HourFigures(weekday=hour // DAY_HOURS + 1, hour=hour % DAY_HOURS, **_counts(row))
            for hour, row in sorted(grouped.by_hour.items())
        ],
    )


def _by_day(rows: Sequence[BandRow]) -> "defaultdict[date | None, Bands]":
    """Group bands by day, and None for all days, and by measure."""
    bands_by_day: defaultdict[date | None, Bands] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        bands_by_day[row.day][row.measure].append((row.band, row.turns))
    return bands_by_day


def _figures(row: FiguresRow, waits: Bands) -> pb.CallFigures:
    return pb.CallFigures(
        calls=row.calls,
        inbound=row.inbound,
        outbound=row.outbound,
        answered=row.answered,
        talk_seconds=row.talk_seconds,
        average_seconds=round(row.talk_seconds / row.answered) if row.answered else None,
        interruptions=row.interruptions,
        first_sound_p50_ms=_percentile(waits["first_sound_ms"], 0.5),
        first_sound_p95_ms=_percentile(waits["first_sound_ms"], 0.95),
        first_answer_p50_ms=_percentile(waits["first_answer_ms"], 0.5),
        first_answer_p95_ms=_percentile(waits["first_answer_ms"], 0.95),
        ours_p95_ms=_percentile(waits["ours_ms"], 0.95),
        model_p95_ms=_percentile(waits["model_ms"], 0.95),
    )


def _percentile(bands: list[tuple[int, int]], share: float) -> int | None:
    return percentiles.percentile(bands, share, analytics.BAND_RATIO)


def _counts(row: FiguresRow) -> dict[str, int]:
    return {"calls": row.calls, "answered": row.answered, "talk_seconds": row.talk_seconds}


def _largest_first(groups: Mapping[KeyT, FiguresRow]) -> list[tuple[KeyT, FiguresRow]]:
    """Return the groups, those with the most calls first."""
    return sorted(groups.items(), key=lambda group: (-group[1].calls, str(group[0])))
