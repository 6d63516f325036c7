"""The feature of webhooks: deliveries of events to customers' servers."""

from datetime import timedelta
from functools import partial

from control.base.egress import Policy
from control.bus import Channel
from control.feature import Deps, Feature, Reader, Sweep
from control.webhooks import lateness
from control.webhooks.fanout import fan_out
from control.webhooks.posting import AtStep, Poster, go_on
from control.webhooks.recording import Pace, Recorder
from control.webhooks.rules import Schedule
from control.webhooks.sealing import Sealer
from control.webhooks.sender import Means, Sender
from control.webhooks.servicer import WebhooksServicer
from control.webhooks.usecases import Limits, check_failing, prune
from hum.contract import eventtypes
from hum.settings import ControlSettings
from hum.v1 import webhooks_pb2
from storage import webhook_deliveries
from storage.events import Start
from storage.webhook_queues import Dead

#: Notified by the transaction that makes a delivery due.
DUE = Channel(webhook_deliveries.CHANNEL, str, str)


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    sealer, sender = Sealer(deps.keyring), sender_of(settings, deps)
    overlap_seconds = settings.webhook_overlap_hours * 3600
    limits = Limits(settings.max_webhooks, Policy(settings.egress_networks), overlap_seconds)
    retries = schedule_of(settings).retries
    servicer = WebhooksServicer(deps.cursors, sealer, limits, settings.webhook_disable_days, retries)
    keep = timedelta(days=settings.webhook_keep_days)
    check = partial(check_failing, deps.db, settings.webhook_warnings, settings.webhook_disable_days)
    return Feature(
        services={webhooks_pb2.DESCRIPTOR.services_by_name["WebhooksService"]: servicer},
        readers=[
            Reader(
                lateness.READER,
                Start.NOW,
                frozenset(eventtypes.visible()),
                partial(fan_out, retries=retries),
                settings.webhook_read_seconds,
                shares=True,
            )
        ],
        sweeps=[
            Sweep("webhooks", sender.send_due, settings.webhook_look_seconds, sender.woken),
            Sweep("webhook_measures", partial(lateness.measure, deps.db), settings.sweep_seconds),
            Sweep("webhook_health", check, settings.sweep_seconds),
            Sweep("webhook_deliveries", partial(prune, deps.db, keep), settings.retention_seconds),
        ],
        wakes={DUE: sender.wake},
        missing=partial(lateness.missing, deps.db, settings.webhook_late_seconds),
    )


def sender_of(settings: ControlSettings, deps: Deps, at_step: AtStep = go_on) -> Sender:
    dead = Dead(settings.webhook_dead_failures, settings.webhook_rest_seconds, settings.webhook_longest_rest_seconds)
    means = Means(
        width=settings.webhook_width,
        organization_width=settings.webhook_organization_width,
        endpoint_width=settings.webhook_endpoint_width,
        dead_width=settings.webhook_dead_width,
        dead=dead,
        request_seconds=settings.webhook_seconds,
        lease_seconds=settings.webhook_lease_seconds,
        batch_seconds=settings.webhook_batch_seconds,
        look_seconds=settings.webhook_look_seconds,
    )
    schedule = schedule_of(settings)
    poster = Poster(deps.web, Sealer(deps.keyring), schedule, settings.webhook_seconds, at_step)
    pace = Pace(settings.webhook_batch_seconds, settings.database_retry_seconds, settings.webhook_lease_seconds)
    recorder = Recorder(deps.db, dead, pace, at_step)
    return Sender(deps.db, poster, recorder, means)


def schedule_of(settings: ControlSettings) -> Schedule:
    return Schedule(settings.webhook_schedule, settings.webhook_jitter, settings.webhook_retry_after_seconds)
