"""Webhooks as people change them, and as they change by themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from control.base import egress
from control.base.egress import Outside, Policy
from control.base.wire import timestamp
from control.webhooks import rules, signing
from control.webhooks.presets import PRESETS
from control.webhooks.sealing import Sealer
from hum import eventtypes, ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, InvalidState, PlanLimit
from hum.ids import Kind
from hum.principal import Principal
from hum.v1 import events_pb2
from storage import audit, events, webhook_deliveries, webhooks
from storage.db import Db, Tx
from storage.webhooks import FailingRow, Settings, WebhookRow

#: Stands for a header's value that is kept.
MASK = "********"
#: Who the audit log says it was.
ACTOR = "system"
FAILING_AT_ONCE = 100
NOT_ENABLED = "The webhook is not enabled."
DELETED = "The event was deleted, so it can't be sent again."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a webhook is to be; None: as its preset says."""

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
class Limits:
    most: int
    policy: Policy
    overlap_seconds: float


async def create(tx: Tx, who: Principal, wish: Wish, sealer: Sealer, limits: Limits) -> tuple[WebhookRow, str]:
    """Make a webhook; return it with its secret.  Raises InvalidRequest, PlanLimit."""
    id, org = ids.new(), who.organization
    assert org is not None, "a webhook is a tenant's"
    settings = await _settings(tx, wish, limits, sealer.seal_headers(_headers(wish.headers, {}), id, org))
    if await webhooks.count(tx) >= limits.most:
        raise PlanLimit(f"The organization has {limits.most} webhooks, which is the limit.")
    secret = signing.new_secret()
    sealed = sealer.seal_secret(secret, id, org)
    return await webhooks.create(tx, id, settings, sealed, None if wish.enabled else "person"), secret


async def change(tx: Tx, before: WebhookRow, wish: Wish, sealer: Sealer, limits: Limits) -> WebhookRow:
    """Change a webhook that is locked.  Raises InvalidRequest."""
    # What one server was trusted with is not shown to another, which whoever may change the URL might have.
    stays = egress.origin(wish.url) == egress.origin(before.url)
    kept = sealer.headers(before.sealed_headers, before.id, before.org_id) if stays else {}
    headers = sealer.seal_headers(_headers(wish.headers, kept), before.id, before.org_id)
    await webhooks.change(tx, before.id, await _settings(tx, wish, limits, headers))
    was_enabled = before.disabled_reason is None
    if wish.enabled and not was_enabled:
        await webhooks.enable(tx, before.id)
        await webhook_deliveries.wake(tx)
    elif was_enabled and not wish.enabled:
        await webhooks.disable(tx, before.id, "person")
        await webhook_deliveries.wake(tx)
    elif wish.url != before.url:
        await webhooks.forgive(tx, before.id)
        await webhook_deliveries.wake(tx)
    return await webhooks.get(tx, before.id)


async def _settings(tx: Tx, wish: Wish, limits: Limits, sealed_headers: bytes | None) -> Settings:
    """Raises InvalidRequest, with all that is wrong."""
    bad = list[FieldError]()
    preset = PRESETS.get(wish.preset) if wish.preset else None
    if wish.preset and preset is None:
        bad.append(FieldError("webhook.preset", f"must be one of {', '.join(PRESETS)}"))
    url = _url(wish.url, limits.policy, bad)
    if preset is not None and preset.url_prefixes and not url.startswith(tuple(preset.url_prefixes)):
        bad.append(FieldError("webhook.url", f"must begin with {' or '.join(preset.url_prefixes)}"))
    wanted = list(dict.fromkeys(wish.events or (preset.events if preset else ())))
    types = eventtypes.visible()
    bad += [
        FieldError(f"webhook.events[{place}]", f"must be *, a kind such as sms.*, or one of {', '.join(types)}")
        for place, each in enumerate(wanted)
        if not rules.is_type(each, types)
    ]
    numbers = _ids(Kind.NUMBER, "number_ids", wish.numbers, bad)
    flows = _ids(Kind.FLOW, "flow_ids", wish.flows, bad)
    unknown_numbers, unknown_flows = await webhooks.unknown(tx, list(numbers), list(flows))
    bad += [FieldError(f"webhook.number_ids[{numbers[id]}]", "is not a number of yours") for id in unknown_numbers]
    bad += [FieldError(f"webhook.flow_ids[{flows[id]}]", "is not a flow of yours") for id in unknown_flows]
    if bad:
        raise InvalidRequest(bad)
    return Settings(
        url=url,
        description=wish.description,
        events=wanted,
        number_ids=list(numbers),
        flow_ids=list(flows),
        sealed_headers=sealed_headers,
        ordered=(preset.ordered if preset else False) if wish.ordered is None else wish.ordered,
        format=wish.format or (preset.format if preset else "event"),
        preset=wish.preset or None,
    )


def _url(text: str, policy: Policy, bad: list[FieldError]) -> str:
    """The URL, if it may be asked at all: what its host resolves to is checked whenever it is."""
    try:
        target = egress.parse_url(text)
    except Outside as error:
        bad.append(FieldError("webhook.url", error.message))
        return text
    if target.address is not None:
        refusal = policy.refusal(target.scheme, target.port, [target.address])
    else:
        refusal = policy.refusal_of_name(target.scheme, target.port)
    if refusal is not None:
        bad.append(FieldError("webhook.url", refusal))
    return text


def _ids(kind: Kind, field: str, texts: Sequence[str], bad: list[FieldError]) -> dict[UUID, int]:
    """The ids with their places."""
    found = dict[UUID, int]()
    for place, text in enumerate(texts):
        if (id := ids.parse(kind, text)) is None:
            bad.append(FieldError(f"webhook.{field}[{place}]", f"is not the id of a {kind.name.lower()}"))
        else:
            found.setdefault(id, place)
    return found


def _headers(wished: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """The headers, the kept values in the place of masks.  Raises InvalidRequest."""
    bad, found = list[FieldError](), dict[str, str]()
    for name, value in wished.items():
        field = f'webhook.headers_json["{name}"]'
        if value == MASK and name not in kept:
            bad.append(
                FieldError(
                    field, "has no value that could be kept: a new header, or a URL that leads elsewhere, needs it"
                )
            )
            continue
        found[name] = kept[name] if value == MASK else value
        try:
            egress.check_headers({name: found[name]})
        except Outside as error:
            bad.append(FieldError(field, error.message))
        if signing.is_reserved(name):
            bad.append(FieldError(field, "is set by HUM"))
    if len({name.lower() for name in found}) < len(found):
        bad.append(FieldError("webhook.headers_json", "has the same header twice"))
    if bad:
        raise InvalidRequest(bad)
    return found


async def rotate(tx: Tx, id: UUID, sealer: Sealer, limits: Limits) -> tuple[WebhookRow, str]:
    """Give a webhook another secret; return it with that.  Raises NotFound."""
    before, secret = await webhooks.get(tx, id, lock=True), signing.new_secret()
    sealed = sealer.seal_secret(secret, id, before.org_id)
    return await webhooks.rotate(tx, id, sealed, limits.overlap_seconds), secret


async def test(tx: Tx, who: Principal, id: UUID) -> UUID:
    """Send an event to this webhook alone; return its delivery.  Raises NotFound, InvalidState."""
    row = await webhooks.get(tx, id, lock=True)
    if row.disabled_reason is not None:
        raise InvalidState(NOT_ENABLED)
    event, delivery = ids.new(), ids.new()
    message = events_pb2.WebhookTestEvent(webhook_id=ids.show(Kind.WEBHOOK, id), by=who.name or "")
    await events.append(tx, row.org_id, id, message, id=event)
    await webhook_deliveries.create_one(tx, delivery, id, event)
    return delivery


async def redeliver(tx: Tx, webhook: UUID, delivery: UUID) -> None:
    """Raises NotFound, InvalidState."""
    row = await webhooks.get(tx, webhook, lock=True)
    if row.disabled_reason is not None:
        raise InvalidState(NOT_ENABLED)
    found = await webhook_deliveries.get(tx, webhook, delivery)
    if (await webhook_deliveries.content(tx, found.event_id)).data is None:
        raise InvalidState(DELETED)
    await webhook_deliveries.redeliver(tx, webhook, delivery)


# --- what happens by itself, as the system


async def disable(tx: Tx, org: UUID, id: UUID, url: str, reason: str) -> None:
    """A receiver wants no more, or none of ours reaches it."""
    row = await webhooks.get(tx, id)
    if row.disabled_reason is not None:
        return
    await webhooks.disable(tx, id, reason)
    shown = ids.show(Kind.WEBHOOK, id)
    event = events_pb2.WebhookDisabledEvent(webhook_id=shown, url=url, reason=reason)
    await events.append(tx, org, id, event)
    await _note(tx, org, shown, "disabledWebhook", reason)


async def judge(db: Db, warn_days: Sequence[float], disable_days: float) -> None:
    """Warn of webhooks that have failed for long, and disable those that have failed for too long."""
    async with db.system() as tx:
        first = min((*warn_days, disable_days)) * 86_400
        later = min((days for days in (*warn_days[1:], disable_days)), default=disable_days) * 86_400
        for row in await webhooks.failing(tx, first, later, FAILING_AT_ONCE):
            failing_seconds = (row.last_failed_at - row.failing_since).total_seconds()
            step = rules.step_due(failing_seconds, row.warnings, warn_days, disable_days)
            if step is None:
                continue
            if step.is_last:
                await disable(tx, row.org_id, row.id, row.url, "failing")
            else:
                since = row.last_failed_at - timedelta(seconds=step.failing_seconds)
                await webhooks.warn(tx, row.id, row.warnings + 1, since)
                await _warn(tx, row, since, disable_days)


async def _warn(tx: Tx, row: FailingRow, since: datetime, disable_days: float) -> None:
    shown = ids.show(Kind.WEBHOOK, row.id)
    event = events_pb2.WebhookFailingEvent(
        webhook_id=shown,
        url=row.url,
        failing_since=timestamp(since),
        disables_at=timestamp(since + timedelta(days=disable_days)),
        error=row.last_error,
        response_status=row.last_status,
    )
    await events.append(tx, row.org_id, row.id, event)
    await _note(tx, row.org_id, shown, "warnedOfWebhook", row.last_error or "")


async def _note(tx: Tx, org: UUID, subject: str, action: str, why: str) -> None:
    await audit.append(tx, org, actor=ACTOR, actor_name=ACTOR, action=action, subject=subject, fields=[why])


async def forget(db: Db, keep: timedelta, batch: int = 2000) -> None:
    """Delete deliveries that are older than they are kept."""
    while True:
        async with db.system() as tx:
            if await webhook_deliveries.forget(tx, now() - keep, batch) < batch:
                return
