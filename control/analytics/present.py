"""The presentation of the figures of texts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

from control.base.wire import value
from hum import ids
from hum.ids import Kind
from hum.v1 import analytics_pb2 as pb
from hum.v1 import sms_pb2
from storage.text_analytics import AnsweredRow, CampaignFiguresRow, GroupedTextFigures, TextFiguresRow

NOTHING = TextFiguresRow()
OF_SENDER = ("outgoing", "delivered", "failed", "outgoing_segments")


@dataclass(frozen=True, slots=True)
class CountedTexts:
    """The figures of the texts of some days."""

    grouped: GroupedTextFigures
    answered: AnsweredRow
    campaigns: Sequence[CampaignFiguresRow]


def texts(window: Sequence[date], time_zone: str, counted: CountedTexts) -> pb.GetTextAnalyticsResponse:
    grouped = counted.grouped
    return pb.GetTextAnalyticsResponse(
        time_zone=time_zone,
        totals=_figures(grouped.total),
        days=[
            pb.DayTextFigures(date=day.isoformat(), figures=_figures(grouped.by_day.get(day, NOTHING)))
            for day in window
        ],
        senders=[
            pb.SenderTextFigures(sent_by=value(sms_pb2.MessageSender, sender), **_sent(row))
            for sender, row in sorted(grouped.by_sender.items(), key=lambda group: (-group[1].outgoing, group[0]))
        ],
        answered=pb.AnsweredFigures(**asdict(counted.answered)),
        campaigns=[
            pb.CampaignTextFigures(
                campaign_id=ids.show(Kind.CAMPAIGN, row.id),
                name=row.name,
                replies=row.replies,
                opt_outs=row.opt_outs,
                **_sent(row),
            )
            for row in counted.campaigns
        ],
    )


def _figures(row: TextFiguresRow) -> pb.TextFigures:
    return pb.TextFigures(**asdict(row))


def _sent(row: TextFiguresRow | CampaignFiguresRow) -> dict[str, int]:
    return {name: getattr(row, name) for name in OF_SENDER}
