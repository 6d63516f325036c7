"""The feature of files in inbound texts."""

from functools import partial

from control.feature import Deps, Feature
from control.mms import jobs, mediatypes
from control.mms.mediatypes import FileLimits
from control.mms.servicer import SmsMediaServicer
from hum.settings import ControlSettings
from hum.v1 import sms_media_pb2

#: The largest file in a text that is kept.
TEXT_FILE_BYTES = 8 << 20
#: The most that is kept of all files in one text.
TEXT_FILES_BYTES = 24 << 20
#: Hours after which a file that the carrier does not hand over is given up.
TEXT_FILE_HOURS = 24.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = FileLimits(TEXT_FILE_BYTES, TEXT_FILES_BYTES, TEXT_FILE_HOURS)
    return Feature(
        services={
            sms_media_pb2.DESCRIPTOR.services_by_name["SmsMediaService"]: SmsMediaServicer(deps, settings),
        },
        jobs={mediatypes.FETCH: partial(jobs.fetch, deps.db, deps.clients.carrier, deps.files, limits)},
    )
