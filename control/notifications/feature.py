"""The feature of notifications: e-mails to people, over the operator's SMTP server."""

from datetime import timedelta
from functools import partial

from control.feature import Deps, Feature, Reader, Sweep
from control.notifications import noticekinds
from control.notifications.notifier import EmailLimits, Notifier
from control.notifications.sending import Mailer
from control.notifications.servicer import NotificationsServicer
from hum import smtp
from hum.settings import ControlSettings
from hum.v1 import notifications_pb2
from storage import notifications
from storage.events import ReaderStart

#: Hours before an e-mail that can't be sent is given up.
EMAIL_HOURS = 24.0
#: Days before the record of an e-mail is deleted.
EMAIL_DAYS = 90.0
#: E-mails about what happened that a person gets in an hour; the rest waits for one.
EMAILS_PER_PERSON = 6
#: Hours for which an address gets nothing more, once the server has refused it.
BOUNCE_HOURS = 24.0
#: E-mails with invitations that an organization may send in 24 hours.
INVITATION_EMAILS = 50
#: Of these, from all organizations to one address.
INVITATION_EMAILS_PER_ADDRESS = 3
#: Hours: what is older when it is read, or could not be told for so long, is told to nobody.
NOTICE_HOURS = 6.0
#: How long an e-mail that may hold a transcript waits for it.
NOTIFY_TRANSCRIPT_SECONDS = 120.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    server, hours = settings.smtp_server, timedelta(hours=EMAIL_HOURS)
    max_age = timedelta(hours=NOTICE_HOURS)
    policy = EmailLimits(
        per_hour=EMAILS_PER_PERSON,
        bounce=timedelta(hours=BOUNCE_HOURS),
        max_age=max_age,
        transcript=timedelta(seconds=NOTIFY_TRANSCRIPT_SECONDS),
        invitations=INVITATION_EMAILS,
        invitations_per_address=INVITATION_EMAILS_PER_ADDRESS,
    )
    notifier = Notifier(deps.db, policy, is_on=server is not None)
    send = partial(smtp.send, server) if server else None
    mailer = Mailer(deps.db, send, settings.smtp_from, settings.public_url, hours)

    async def prune() -> None:
        async with deps.db.system() as tx:
            await notifications.prune(tx, max_age, hours, timedelta(days=EMAIL_DAYS))

    service = notifications_pb2.DESCRIPTOR.services_by_name["NotificationsService"]
    return Feature(
        services={service: NotificationsServicer(deps.cursors, is_on=server is not None)},
        jobs={noticekinds.SEND: mailer.deliver},
        sweeps=[
            Sweep("notifications", notifier.compose, settings.notification_seconds, due=notifications.due_seconds),
            Sweep("old_notifications", prune, settings.sweep_seconds),
        ],
        readers=[
            Reader(
                "notifications",
                ReaderStart.NOW,
                noticekinds.EVENTS,
                notifier.read,
                settings.notification_seconds,
                shares=True,
            )
        ],
    )
