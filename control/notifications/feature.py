"""The feature of notifications: e-mails to people, over the operator's SMTP server."""

from datetime import timedelta
from functools import partial

from control.feature import Deps, Feature, Reader, Sweep
from control.notifications import rules
from control.notifications.sending import Mailer
from control.notifications.servicer import NotificationsServicer
from control.notifications.telling import Notifier, Policy
from hum import smtp
from hum.settings import ControlSettings
from hum.v1 import notifications_pb2
from storage import notifications
from storage.events import Start


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    server, hours = settings.smtp_server, timedelta(hours=settings.email_hours)
    max_age = timedelta(hours=settings.notice_hours)
    policy = Policy(
        per_hour=settings.emails_per_person,
        bounce=timedelta(hours=settings.bounce_hours),
        max_age=max_age,
        transcript=timedelta(seconds=settings.notify_transcript_seconds),
        invitations=settings.invitation_emails,
        invitations_per_address=settings.invitation_emails_per_address,
    )
    notifier = Notifier(deps.db, policy, is_on=server is not None)
    send = partial(smtp.send, server) if server else None
    mailer = Mailer(deps.db, send, settings.smtp_from, settings.public_url, hours)

    async def prune() -> None:
        async with deps.db.system() as tx:
            await notifications.forget(tx, max_age, hours, timedelta(days=settings.email_days))

    service = notifications_pb2.DESCRIPTOR.services_by_name["NotificationsService"]
    return Feature(
        services={service: NotificationsServicer(deps.cursors, is_on=server is not None)},
        jobs={rules.SEND: mailer.deliver},
        sweeps=[
            Sweep("notifications", notifier.compose, settings.notification_seconds),
            Sweep("old_notifications", prune, settings.sweep_seconds),
        ],
        readers=[
            Reader("notifications", Start.NOW, rules.EVENTS, notifier.read, settings.notification_seconds, shares=True)
        ],
    )
