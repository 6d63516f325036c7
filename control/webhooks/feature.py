"""The feature of webhooks: deliveries of events to customers' servers."""

from datetime import timedelta
from functools import partial

from control.base.egress import Policy
from control.base.rates import Rates
from control.bus import BusChannel
from control.feature import Deps, Feature, Reader, Sweep
from control.webhooks import lateness
from control.webhooks.fanout import fan_out
from control.webhooks.posting import AtStep, WebhookPoster, go_on
from control.webhooks.recording import OutcomePace, OutcomeRecorder
from control.webhooks.retries import Schedule
from control.webhooks.sealing import WebhookSealer
from control.webhooks.sender import WebhookSender, WebhookSendLimits
from control.webhooks.servicer import WebhooksServicer
from control.webhooks.usecases import WebhookLimits, check_failing, prune
from hum.contract import eventtypes
from hum.settings import ControlSettings
from hum.v1 import webhooks_pb2
from storage import webhook_deliveries, webhook_queues
from storage.events import ReaderStart
from storage.webhook_queues import DeadBackOff

#: Seconds in which a webhook's receiver must have answered.
WEBHOOK_SECONDS = 15.0
#: Seconds before each further attempt at a delivery.
WEBHOOK_RETRY_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
#: Part by which the pauses between attempts are longer or shorter, at random.
WEBHOOK_JITTER = 0.2
#: The longest `Retry-After` of a receiver that is followed.
WEBHOOK_RETRY_AFTER_SECONDS = 3600.0
#: Webhooks' requests of one worker at once.
WEBHOOK_WIDTH = 256
#: Of these, requests of one organization.
WEBHOOK_ORGANIZATION_WIDTH = 64
#: Of these, requests of one webhook.
WEBHOOK_ENDPOINT_WIDTH = 32
#: Of these, requests of webhooks that keep failing, one of each.
WEBHOOK_DEAD_WIDTH = 32
#: Failures in a row after which a webhook is left alone for a while.
WEBHOOK_DEAD_FAILURES = 5
#: Seconds for which such a webhook is left alone, at first; doubles each time.
WEBHOOK_REST_SECONDS = 5.0
#: The longest that this becomes.
WEBHOOK_LONGEST_REST_SECONDS = 300.0
#: Seconds after which a delivery that a worker has taken, and said no more of, is taken by another.
WEBHOOK_LEASE_SECONDS = 45.0
#: Seconds in which webhooks' deliveries and answers are gathered before they are taken and recorded together.
WEBHOOK_BATCH_SECONDS = 0.04
#: Seconds between polls for events that webhooks have yet to get.
WEBHOOK_READ_SECONDS = 0.1
#: Seconds between polls for due deliveries; a notification announces most.
WEBHOOK_POLL_SECONDS = 1.0
#: Days of failures after which an organization is warned.
WEBHOOK_WARN_DAYS = (1.0, 3.0)
#: Days of failures after which a webhook is disabled.
WEBHOOK_DISABLE_DAYS = 5.0
#: Hours for which a webhook's previous secret still signs.
WEBHOOK_OVERLAP_HOURS = 24.0
#: Days for which webhooks' deliveries can be read and sent again.
WEBHOOK_KEEP_DAYS = 30.0
#: Seconds without a poll of due events or deliveries, after which a worker is not ready.
WEBHOOK_LATE_SECONDS = 60.0
#: How many KB of the answers of an organization's receivers a worker stores, at once and then per second on average.
WEBHOOK_ANSWER_KB_BURST, WEBHOOK_ANSWER_KB_PER_SECOND = 16_000, 16.0

#: Notified by the transaction that makes a delivery due.
DUE = BusChannel(webhook_deliveries.CHANNEL, str, str, is_polled=False)


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    sealer, sender = WebhookSealer(deps.keyring), sender_of(settings, deps)
    overlap_seconds = WEBHOOK_OVERLAP_HOURS * 3600
    limits = WebhookLimits(settings.max_webhooks, Policy(settings.egress_networks), overlap_seconds)
    retries = schedule_of().retries
    servicer = WebhooksServicer(deps.cursors, sealer, limits, WEBHOOK_DISABLE_DAYS, retries)
    keep = timedelta(days=WEBHOOK_KEEP_DAYS)
    measure = partial(lateness.measure, deps.db)
    check = partial(check_failing, deps.db, WEBHOOK_WARN_DAYS, WEBHOOK_DISABLE_DAYS)
    return Feature(
        services={webhooks_pb2.DESCRIPTOR.services_by_name["WebhooksService"]: servicer},
        readers=[
            Reader(
                lateness.READER,
                ReaderStart.NOW,
                frozenset(eventtypes.visible()),
                partial(fan_out, retries=retries),
                WEBHOOK_READ_SECONDS,
                shares=True,
            )
        ],
        sweeps=[
            Sweep("webhooks", sender.send_due, WEBHOOK_POLL_SECONDS, sender.woken, webhook_queues.due_seconds),
            Sweep("webhook_measures", measure, settings.sweep_seconds, net_seconds=WEBHOOK_LATE_SECONDS),
            Sweep("webhook_health", check, settings.sweep_seconds),
            Sweep("webhook_deliveries", partial(prune, deps.db, keep), settings.retention_seconds),
        ],
        wakes={DUE: sender.wake},
        missing=partial(lateness.missing, deps.db, WEBHOOK_LATE_SECONDS),
    )


def sender_of(settings: ControlSettings, deps: Deps, at_step: AtStep = go_on) -> WebhookSender:
    dead = DeadBackOff(WEBHOOK_DEAD_FAILURES, WEBHOOK_REST_SECONDS, WEBHOOK_LONGEST_REST_SECONDS)
    limits = WebhookSendLimits(
        width=WEBHOOK_WIDTH,
        organization_width=WEBHOOK_ORGANIZATION_WIDTH,
        endpoint_width=WEBHOOK_ENDPOINT_WIDTH,
        dead_width=WEBHOOK_DEAD_WIDTH,
        dead=dead,
        request_seconds=WEBHOOK_SECONDS,
        lease_seconds=WEBHOOK_LEASE_SECONDS,
        batch_seconds=WEBHOOK_BATCH_SECONDS,
        poll_seconds=WEBHOOK_POLL_SECONDS,
    )
    schedule = schedule_of()
    answer_kb = Rates(WEBHOOK_ANSWER_KB_PER_SECOND, WEBHOOK_ANSWER_KB_BURST)
    poster = WebhookPoster(deps.web, WebhookSealer(deps.keyring), schedule, WEBHOOK_SECONDS, answer_kb, at_step)
    pace = OutcomePace(WEBHOOK_BATCH_SECONDS, settings.database_retry_seconds, WEBHOOK_LEASE_SECONDS)
    recorder = OutcomeRecorder(deps.db, dead, pace, at_step)
    return WebhookSender(deps.db, poster, recorder, limits)


def schedule_of() -> Schedule:
    return Schedule(WEBHOOK_RETRY_SECONDS, WEBHOOK_JITTER, WEBHOOK_RETRY_AFTER_SECONDS)
