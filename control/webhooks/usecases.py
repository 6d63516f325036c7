"""The use cases of webhooks: changes by people, and automatic ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control.base import egress, eventscopes
from control.base.egress import EgressError, Policy
from control.base.wire import timestamp
from control.webhooks import retries, signing
from control.webhooks.presets import PRESETS
from control.webhooks.sealing import WebhookSealer
from hum import ids
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, InvalidState, PlanLimit
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import audit, events, webhook_deliveries, webhooks
from storage.db import Db, Tx
from storage.webhooks import FailingRow, WebhookConfig, WebhookRow

#: Stands for the stored value of a header.
MASK = "********"
#: The actor of automatic changes in the audit log.
ACTOR = "system"
FAILING_AT_ONCE = 100
NOT_ENABLED = "The webhook is not enabled."
UNDER_WAY = "An attempt at this delivery is under way. Ask again when it has ended."
DELETED = "The event was deleted, so it can't be sent again."


@dataclass(frozen=True, slots=True)
class RequestedSettings:
    """The requested settings of a webhook; None: the preset's."""

    url: str
    description: str
    events: Sequence[str]
    numbers: Sequence[str]
    flows: Sequence[str]
    headers: Mapping[str, str]
    enabled: bool
    ordered: bool | None
    format: str | None
    preset: str | None


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    most: int
    policy: Policy
    overlap_seconds: float


async def create(
    tx: Tx, principal: Principal, requested: RequestedSettings, sealer: WebhookSealer, limits: WebhookLimits
) -> tuple[WebhookRow, str]:
    """Create a webhook; return it with its secret.  Raises InvalidRequest, InsufficientScope, PlanLimit."""
    id, org = ids.new(), principal.organization
    assert org is not None, "a webhook is a tenant's"
    config = await _config(tx, requested, limits, sealer.seal_headers(_headers(requested.headers, {}), id, org))
    eventscopes.require(principal, config.events or ["*"])
    if await webhooks.count(tx) >= limits.most:
        raise PlanLimit(f"The organization has {limits.most} webhooks, which is the limit.")
    secret = signing.new_secret()
    sealed = sealer.seal_secret(secret, id, org)
    return await webhooks.create(tx, id, config, sealed, None if requested.enabled else "person"), secret


async def change(
    tx: Tx,
    principal: Principal,
    before: WebhookRow,
    requested: RequestedSettings,
    sealer: WebhookSealer,
    limits: WebhookLimits,
) -> WebhookRow:
    """Change a locked webhook.  Raises InvalidRequest, InsufficientScope."""
    # Stored header values never go to another origin: a person who may change the URL could read them there.
    same_origin = egress.origin(requested.url) == egress.origin(before.url)
    stored = sealer.headers(before.sealed_headers, before.id, before.org_id) if same_origin else {}
    headers = sealer.seal_headers(_headers(requested.headers, stored), before.id, before.org_id)
    config = await _config(tx, requested, limits, headers)
    if (config.url, config.events) != (before.url, before.events):
        eventscopes.require(principal, config.events or ["*"])
    await webhooks.change(tx, before.id, config)
    was_enabled = before.disabled_reason is None
    if requested.enabled and not was_enabled:
        await webhooks.enable(tx, before.id)
        await webhook_deliveries.notify_senders(tx)
    elif was_enabled and not requested.enabled:
        await webhooks.disable(tx, before.id, "person")
        await webhook_deliveries.notify_senders(tx)
    elif requested.url != before.url:
        await webhooks.reset_failures(tx, before.id)
        await webhook_deliveries.notify_senders(tx)
    return await webhooks.get(tx, before.id)


async def _config(
    tx: Tx, requested: RequestedSettings, limits: WebhookLimits, sealed_headers: bytes | None
) -> WebhookConfig:
    """Check the requested settings; return the row's.  Raises InvalidRequest with all errors."""
    errors = list[FieldError]()
    preset = PRESETS.get(requested.preset) if requested.preset else None
    if requested.preset and preset is None:
        errors.append(FieldError("webhook.preset", f"must be one of {', '.join(PRESETS)}"))
    url = _url(requested.url, limits.policy, errors)
    if preset is not None and preset.url_prefixes and not url.startswith(tuple(preset.url_prefixes)):
        errors.append(FieldError("webhook.url", f"must begin with {' or '.join(preset.url_prefixes)}"))
    patterns = list(dict.fromkeys(requested.events or (preset.events if preset else ())))
    numbers = _ids(Kind.NUMBER, "number_ids", requested.numbers, errors)
    flows = _ids(Kind.FLOW, "flow_ids", requested.flows, errors)
    unknown_numbers, unknown_flows = await webhooks.unknown(tx, list(numbers), list(flows))
    errors += [FieldError(f"webhook.number_ids[{numbers[id]}]", "is not a number of yours") for id in unknown_numbers]
    errors += [FieldError(f"webhook.flow_ids[{flows[id]}]", "is not a flow of yours") for id in unknown_flows]
    if errors:
        raise InvalidRequest(errors)
    return WebhookConfig(
        url=url,
        description=requested.description,
        events=patterns,
        number_ids=list(numbers),
        flow_ids=list(flows),
        sealed_headers=sealed_headers,
        ordered=(preset.ordered if preset else False) if requested.ordered is None else requested.ordered,
        format=requested.format or (preset.format if preset else "event"),
        preset=requested.preset or None,
    )


def _url(text: str, policy: Policy, errors: list[FieldError]) -> str:
    """Check that a URL may be called at all.  Each request checks what its host resolves to."""
    try:
        policy.check_url(text)
    except EgressError as error:
        errors.append(FieldError("webhook.url", error.message))
    return text


def _ids(kind: Kind, field: str, texts: Sequence[str], errors: list[FieldError]) -> dict[UUID, int]:
    """Parse ids; return them with their indexes."""
    indexes = dict[UUID, int]()
    for index, text in enumerate(texts):
        if (id := ids.parse(kind, text)) is None:
            errors.append(FieldError(f"webhook.{field}[{index}]", f"is not the id of a {kind.name.lower()}"))
        else:
            indexes.setdefault(id, index)
    return indexes


def _headers(requested: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """Replace masks by stored values, and check the headers.  Raises InvalidRequest."""
    errors, headers = list[FieldError](), dict[str, str]()
    for name, value in requested.items():
        field = f'webhook.headers_json["{name}"]'
        if value == MASK and name not in stored:
            errors.append(
                FieldError(
                    field, "has no value that could be kept: a new header, or a URL that leads elsewhere, needs it"
                )
            )
            continue
        headers[name] = stored[name] if value == MASK else value
        try:
            egress.check_headers({name: headers[name]})
        except EgressError as error:
            errors.append(FieldError(field, error.message))
        if signing.is_reserved(name):
            errors.append(FieldError(field, "is set by HUM"))
    if len({name.lower() for name in headers}) < len(headers):
        errors.append(FieldError("webhook.headers_json", "has the same header twice"))
    if errors:
        raise InvalidRequest(errors)
    return headers


async def rotate(tx: Tx, id: UUID, sealer: WebhookSealer, limits: WebhookLimits) -> tuple[WebhookRow, str]:
    """Rotate a webhook's secret; return the webhook with the new one.  Raises NotFound."""
    before, secret = await webhooks.get(tx, id, lock=True), signing.new_secret()
    sealed = sealer.seal_secret(secret, id, before.org_id)
    return await webhooks.rotate(tx, id, sealed, limits.overlap_seconds), secret


async def test(tx: Tx, principal: Principal, id: UUID) -> UUID:
    """Send a test event to this webhook only; return the delivery's id.  Raises NotFound, InvalidState."""
    row = await webhooks.get(tx, id, lock=True)
    if row.disabled_reason is not None:
        raise InvalidState(NOT_ENABLED)
    event, delivery = ids.new(), ids.new()
    message = events_pb2.WebhookTestEvent(webhook_id=ids.show(Kind.WEBHOOK, id), by=principal.name or "")
    await events.append(tx, row.org_id, id, message, id=event)
    await webhook_deliveries.create_one(tx, delivery, id, event)
    return delivery


async def redeliver(tx: Tx, webhook: UUID, delivery: UUID) -> None:
    """Send a delivery again.  Raises NotFound, InvalidState."""
    row = await webhooks.get(tx, webhook, lock=True)
    if row.disabled_reason is not None:
        raise InvalidState(NOT_ENABLED)
    delivery_row = await webhook_deliveries.get(tx, webhook, delivery)
    if (await webhook_deliveries.content(tx, delivery_row.event_id)).data is None:
        raise InvalidState(DELETED)
    if not await webhook_deliveries.redeliver(tx, webhook, delivery):
        raise InvalidState(UNDER_WAY)


# --- automatic changes, as the system


async def disable(tx: Tx, org: UUID, id: UUID, url: str, reason: str) -> None:
    """Disable a webhook whose receiver has unsubscribed (`gone`) or has failed for too long (`failing`)."""
    row = await webhooks.get(tx, id)
    if row.disabled_reason is not None:
        return
    await webhooks.disable(tx, id, reason)
    public_id = ids.show(Kind.WEBHOOK, id)
    event = events_pb2.WebhookDisabledEvent(webhook_id=public_id, url=url, reason=reason)
    await events.append(tx, org, id, event)
    await _append_audit_entry(tx, org, public_id, "disabledWebhook", reason)


async def check_failing(db: Db, warn_days: Sequence[float], disable_days: float) -> None:
    """Warn of webhooks that have failed for long, and disable those that have failed for too long."""
    async with db.system() as tx:
        first = min((*warn_days, disable_days)) * 86_400
        later = min((days for days in (*warn_days[1:], disable_days)), default=disable_days) * 86_400
        for row in await webhooks.lock_failing(tx, first, later, FAILING_AT_ONCE):
            failing_seconds = (row.last_failed_at - row.failing_since).total_seconds()
            step = retries.step_due(failing_seconds, row.warnings, warn_days, disable_days)
            if step is None:
                continue
            if step.is_last:
                await disable(tx, row.org_id, row.id, row.url, "failing")
            else:
                since = row.last_failed_at - timedelta(seconds=step.failing_seconds)
                await webhooks.warn(tx, row.id, row.warnings + 1, since)
                await _warn(tx, row, since, disable_days)


async def _warn(tx: Tx, row: FailingRow, since: datetime, disable_days: float) -> None:
    public_id = ids.show(Kind.WEBHOOK, row.id)
    event = events_pb2.WebhookFailingEvent(
        webhook_id=public_id,
        url=row.url,
        failing_since=timestamp(since),
        disables_at=timestamp(since + timedelta(days=disable_days)),
        error=row.last_error,
        response_status=row.last_status,
    )
    await events.append(tx, row.org_id, row.id, event)
    await _append_audit_entry(tx, row.org_id, public_id, "warnedOfWebhook", row.last_error or "")


async def _append_audit_entry(tx: Tx, org: UUID, subject: str, action: str, why: str) -> None:
    await audit.append(tx, org, actor=ACTOR, actor_name=ACTOR, action=action, subject=subject, fields=[why])


async def prune(db: Db, keep: timedelta, batch: int = 2000) -> None:
    """Delete the deliveries that are older than `keep`."""
    while True:
        async with db.system() as tx:
            if await webhook_deliveries.prune(tx, now() - keep, batch) < batch:
                return
