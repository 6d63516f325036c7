"""Messages of the contract for campaigns and their recipients."""

from control.base.wire import timestamp, value
from control.campaigns import halting
from control.texts import errors, quiethours
from hum import ids
from hum.ids import Kind
from hum.v1 import campaigns_pb2 as pb
from storage.campaigns import CampaignRow
from storage.recipients import RecipientRow

COUNTED = ("total", "pending", "sending", "sent", "delivered", "failed", "unknown", "opted_out", "skipped", "canceled")


def campaign(row: CampaignRow) -> pb.Campaign:
    """Return a campaign as a message."""
    return pb.Campaign(
        id=ids.show(Kind.CAMPAIGN, row.id),
        name=row.name,
        twilio_number_id=ids.show(Kind.NUMBER, row.number_id) if row.number_id else None,
        flow_id=ids.show(Kind.FLOW, row.flow_id) if row.flow_id else None,
        body_template=row.body_template,
        media_urls=row.media_urls,
        throttle_per_minute=row.throttle_per_minute,
        scheduled_start_at=timestamp(row.scheduled_start_at),
        honor_quiet_hours=row.honor_quiet_hours,
        quiet_hours=_quiet_hours(row),
        expires_at=timestamp(row.expires_at),
        status=value(pb.CampaignStatus, row.status),
        reason=row.reason,
        reason_text=_sentence(row.reason),
        counts=pb.CampaignCounts(**{name: getattr(row, name) for name in COUNTED}, duplicates=row.duplicates),
        created_at=timestamp(row.created_at),
        launched_at=timestamp(row.launched_at),
        started_at=timestamp(row.started_at),
        ended_at=timestamp(row.ended_at),
    )


def _quiet_hours(row: CampaignRow) -> list[str]:
    kept = {
        quiethours.ORGANIZATION_HOURS: row.keeps_organization_hours,
        quiethours.RECIPIENT_HOURS: row.keeps_recipient_hours,
    }
    return [name for name, is_kept in kept.items() if is_kept]


def recipient(row: RecipientRow) -> pb.CampaignRecipient:
    """Return a recipient as a message."""
    waits = row.status == "pending" and row.reason is not None
    return pb.CampaignRecipient(
        id=ids.show(Kind.RECIPIENT, row.id),
        contact_e164=row.contact_e164,
        status=value(pb.RecipientStatus, row.status),
        reason=row.reason,
        reason_text=_sentence(row.reason),
        message_id=ids.show(Kind.MESSAGE, row.message_id) if row.message_id else None,
        body=row.body,
        variables=row.variables,
        due_at=timestamp(row.due_at) if waits else None,
        changed_at=timestamp(row.changed_at),
    )


def _sentence(reason: str | None) -> str | None:
    """Return the sentence for a reason, the campaign's own or that of a text's error."""
    return (halting.SENTENCES.get(reason) or errors.sentence(reason)) if reason else None
