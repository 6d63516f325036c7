"""Webhooks and their deliveries as clients see them."""

import json
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from control.base.wire import timestamp, value
from control.webhooks import bodies
from control.webhooks.bodies import DeliveryContent
from control.webhooks.presets import PRESETS
from control.webhooks.usecases import MASK
from hum import ids
from hum.ids import Kind
from hum.v1 import webhooks_pb2 as pb
from storage.webhook_deliveries import ContentRow, DeliveryAttemptRow, DeliveryRow
from storage.webhooks import WebhookRow


def webhook(row: WebhookRow, header_names: Iterable[str], disable_days: float, secret: str | None = None) -> pb.Webhook:
    """Convert a webhook.  `secret`: only in the responses that create one."""
    status = "disabled" if row.disabled_reason else "failing" if row.failing_since else "ok"
    disables_at = (
        row.failing_since + timedelta(days=disable_days) if status == "failing" and row.failing_since else None
    )
    return pb.Webhook(
        id=ids.show(Kind.WEBHOOK, row.id),
        url=row.url,
        description=row.description,
        events=row.events,
        number_ids=[ids.show(Kind.NUMBER, id) for id in row.number_ids],
        flow_ids=[ids.show(Kind.FLOW, id) for id in row.flow_ids],
        headers_json=json.dumps(dict.fromkeys(header_names, MASK)),
        enabled=row.disabled_reason is None,
        ordered=row.ordered,
        format=value(pb.WebhookFormat, row.format),
        preset=row.preset,
        status=value(pb.WebhookStatus, status),
        disabled_reason=value(pb.WebhookDisabledReason, row.disabled_reason),
        disabled_at=timestamp(row.disabled_at),
        failing_since=timestamp(row.failing_since),
        disables_at=timestamp(disables_at),
        last_delivered_at=timestamp(row.last_delivered_at),
        last_failed_at=timestamp(row.last_failed_at),
        secret=secret,
        previous_secret_expires_at=timestamp(row.previous_secret_expires_at),
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def delivery(row: DeliveryRow) -> pb.WebhookDelivery:
    return pb.WebhookDelivery(
        id=ids.show(Kind.DELIVERY, row.id),
        event_id=ids.show(Kind.EVENT, row.public_id),
        event_type=row.event_type,
        state=value(pb.WebhookDeliveryState, row.state),
        sequence=row.sequence,
        attempt_count=row.attempts,
        next_attempt_at=timestamp(row.due_at),
        response_status=row.response_status,
        error=row.error,
        created_at=timestamp(row.created_at),
        ended_at=timestamp(row.ended_at),
    )


def detailed(
    row: DeliveryRow, content: ContentRow, format: str, attempts: Iterable[DeliveryAttemptRow]
) -> pb.WebhookDelivery:
    """Convert a delivery with its body and its attempts."""
    message = delivery(row)
    if content.data is not None:
        message.body = bodies.body(_content(row, content, content.data), format).decode()
    message.attempts.extend(attempt(row) for row in attempts)
    return message


def _content(row: DeliveryRow, content: ContentRow, data: str) -> DeliveryContent:
    return DeliveryContent(
        content.public_id, content.org_id, content.type, content.version, content.created_at, row.sequence, data
    )


def attempt(row: DeliveryAttemptRow) -> pb.WebhookAttempt:
    return pb.WebhookAttempt(
        number=row.number,
        started_at=timestamp(row.started_at),
        duration_ms=row.duration_ms,
        response_status=row.response_status,
        error=row.error,
        message=row.message,
        response_body=row.response_body.decode(errors="replace") if row.response_body is not None else None,
        response_type=row.response_type,
    )


def presets() -> list[pb.WebhookPreset]:
    return [
        pb.WebhookPreset(
            name=name,
            title=preset.title,
            url_prefixes=preset.url_prefixes,
            events=preset.events,
            format=value(pb.WebhookFormat, preset.format),
            ordered=preset.ordered,
            instructions=preset.instructions,
        )
        for name, preset in PRESETS.items()
    ]


def webhook_id(text: str) -> UUID:
    """Parse a webhook's id.  Raises NotFound."""
    return ids.require(Kind.WEBHOOK, text)
