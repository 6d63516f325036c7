"""The feature of texts: conversations, templates, the carrier's webhooks, and the periodic work."""

from functools import partial

from control.feature import Deps, Feature, Reader, Sweep
from control.texts import missedcalls, textingback
from control.texts.ingress import TextsIngressServicer
from control.texts.jobs import wake
from control.texts.servicer import SmsServicer
from control.texts.template_servicer import SmsTemplatesServicer
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2, sms_pb2, sms_templates_pb2
from storage import inbox
from storage.events import ReaderStart

#: Seconds between polls for conversations whose snooze is over.
WAKE_SECONDS = 5.0
#: Templates of texts that an organization may have.
MAX_TEMPLATES = 500
#: Seconds between looks for calls that their caller is to be texted about.
MISSED_CALL_SECONDS = 1.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    sms = sms_pb2.DESCRIPTOR.services_by_name["SmsService"]
    templates = sms_templates_pb2.DESCRIPTOR.services_by_name["SmsTemplatesService"]
    return Feature(
        services={
            sms: SmsServicer(deps.cursors, settings.text_countries),
            templates: SmsTemplatesServicer(deps.cursors, MAX_TEMPLATES),
            runtime_pb2.DESCRIPTOR.services_by_name["TextsIngressService"]: TextsIngressServicer(
                deps.calls_db, settings
            ),
        },
        jobs={missedcalls.TEXT_BACK: partial(textingback.text_back, deps.db, settings.text_countries)},
        readers=[
            Reader(
                textingback.READER,
                ReaderStart.NOW,
                textingback.EVENTS,
                textingback.enqueue,
                MISSED_CALL_SECONDS,
                shares=True,
            )
        ],
        sweeps=[Sweep("snoozed_conversations", partial(wake, deps.db), WAKE_SECONDS, due=inbox.snooze_seconds)],
    )
