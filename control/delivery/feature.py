"""The feature `delivery`: sending texts, retries, looking up lost outcomes, and resolving unknown ones."""

from datetime import timedelta

from control.base.filelinks import FileLinks
from control.bus import BusChannel
from control.delivery.servicer import SmsDeliveryServicer
from control.feature import Deps, Feature, Sweep
from control.texts.claims import Claims, Recovery, TextSendLimits
from control.texts.lookups import ReconciliationTimes, TextLookups
from control.texts.paces import Paces
from control.texts.posting import TextPoster
from control.texts.sender import TextSender
from hum.process import home
from hum.settings import ControlSettings
from hum.v1 import sms_delivery_pb2
from storage import sends, text_attempts

#: Texts that one worker asks the carrier to send at once.
TEXT_WIDTH = 64
#: Of these, texts of campaigns: the rest is left to conversations.
TEXT_CAMPAIGN_WIDTH = 48
#: What a fast number sends within so many seconds leaves together.
TEXT_QUANTUM_SECONDS = 0.05
#: Seconds after which a number that was too fast for the carrier is twice as fast again.
TEXT_RECOVER_SECONDS = 60.0
#: Seconds for which a number sends nothing that the carrier refuses for a fault of the number or its account.
TEXT_STOP_SECONDS = 900.0
#: Days after which the carrier is asked no more about a text.
TEXT_RECONCILE_DAYS = 3.0
#: Where the gateway gives the carrier the uploaded files of texts (gateway/texts.py).
FILES_PATH = "/twilio/sms/files/"

#: A text of this number is due; notified by the transaction that wrote it.
DUE = BusChannel(sends.CHANNEL, str, str, is_polled=False)


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    db, carrier = deps.calls_db, deps.clients.carrier
    limits = limits_of(settings)
    lookups = TextLookups(
        db,
        carrier,
        ReconciliationTimes(
            look_up=timedelta(seconds=settings.carrier_look_seconds),
            unknown=timedelta(seconds=settings.text_unknown_seconds),
            reconcile=timedelta(seconds=settings.text_reconcile_seconds),
            oldest=timedelta(days=TEXT_RECONCILE_DAYS),
            request=timedelta(seconds=settings.carrier_seconds),
        ),
    )
    links = FileLinks(home.node_keys(settings), settings.public_url + FILES_PATH)
    poster = TextPoster(db, carrier, lookups, settings.public_url, limits, links)
    sender = TextSender(db, Claims(db, limits), poster, limits)
    service = sms_delivery_pb2.DESCRIPTOR.services_by_name["SmsDeliveryService"]
    return Feature(
        services={service: SmsDeliveryServicer(deps.cursors)},
        sweeps=[
            Sweep("texts", sender.send_due, settings.text_seconds, sender.woken, sends.due_seconds),
            Sweep("text_attempts", lookups.look_up_unconfirmed_texts, settings.sweep_seconds),
            Sweep("text_retries", lookups.retry_due, settings.sweep_seconds, due=text_attempts.retry_seconds),
            Sweep("text_statuses", lookups.reconcile, settings.sweep_seconds),
        ],
        wakes={DUE: sender.wake},
    )


def limits_of(settings: ControlSettings) -> TextSendLimits:
    return TextSendLimits(
        paces=Paces(*settings.text_paces, settings.twilio_account_sid),
        width=TEXT_WIDTH,
        campaign_width=TEXT_CAMPAIGN_WIDTH,
        number_width=settings.text_number_width,
        quantum_seconds=TEXT_QUANTUM_SECONDS,
        poll_seconds=settings.text_seconds,
        request_seconds=settings.carrier_seconds,
        recovery=Recovery(
            retry_seconds=settings.text_retry_seconds,
            longest_seconds=settings.text_longest_retry_seconds,
            recover_seconds=TEXT_RECOVER_SECONDS,
            stop_seconds=TEXT_STOP_SECONDS,
        ),
    )
