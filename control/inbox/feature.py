"""The feature of the inbox: its service, and the sweep that prunes its changes."""

from datetime import timedelta
from functools import partial

from control.feature import Deps, Feature, Sweep
from control.following import Rests
from control.inbox.jobs import forget_changes
from control.inbox.servicer import SmsInboxServicer
from hum.settings import ControlSettings
from hum.v1 import sms_inbox_pb2

#: Seconds for which a client of the streams of the inbox and of all changes may be away and still gets each; later
#: it loads its lists.
INBOX_KEEP_SECONDS = 3600.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    keep = timedelta(seconds=INBOX_KEEP_SECONDS)
    rests = Rests(settings.recheck_seconds, settings.inbox_look_seconds)
    return Feature(
        services={sms_inbox_pb2.DESCRIPTOR.services_by_name["SmsInboxService"]: SmsInboxServicer(deps, rests)},
        sweeps=[Sweep("inbox_changes", partial(forget_changes, deps.db, keep), settings.sweep_seconds)],
    )
