"""The feature of texts: the inbox, the carrier's webhooks, and the periodic work."""

from datetime import timedelta
from functools import partial

from control.feature import Deps, Feature, Sweep
from control.following import Rests
from control.texts.inbox_servicer import SmsInboxServicer
from control.texts.ingress import TextsIngressServicer
from control.texts.jobs import forget_changes, wake
from control.texts.servicer import SmsServicer
from control.texts.template_servicer import SmsTemplatesServicer
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2, sms_inbox_pb2, sms_pb2, sms_templates_pb2

#: Seconds between looks for conversations whose snooze is over.
WAKE_SECONDS = 5.0
#: Seconds for which a client of the streams of the inbox and of all changes may be away and still gets each; later
#: it loads its lists.
INBOX_KEEP_SECONDS = 3600.0
#: Templates of texts that an organization may have.
MAX_TEMPLATES = 500


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    sms = sms_pb2.DESCRIPTOR.services_by_name["SmsService"]
    inbox = sms_inbox_pb2.DESCRIPTOR.services_by_name["SmsInboxService"]
    templates = sms_templates_pb2.DESCRIPTOR.services_by_name["SmsTemplatesService"]
    keep = timedelta(seconds=INBOX_KEEP_SECONDS)
    return Feature(
        services={
            sms: SmsServicer(deps.cursors, settings.text_countries),
            inbox: SmsInboxServicer(deps, Rests(settings.recheck_seconds, settings.inbox_look_seconds)),
            templates: SmsTemplatesServicer(deps.cursors, MAX_TEMPLATES),
            runtime_pb2.DESCRIPTOR.services_by_name["TextsIngressService"]: TextsIngressServicer(
                deps.calls_db, settings
            ),
        },
        sweeps=[
            Sweep("snoozed_conversations", partial(wake, deps.db), WAKE_SECONDS),
            Sweep("inbox_changes", partial(forget_changes, deps.db, keep), settings.sweep_seconds),
        ],
    )
