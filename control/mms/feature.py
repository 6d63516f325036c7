"""The feature of files in inbound texts."""

from functools import partial

from control.feature import Deps, Feature
from control.mms import jobs, rules
from control.mms.rules import Keeping
from control.mms.servicer import SmsMediaServicer
from hum.settings import ControlSettings
from hum.v1 import sms_media_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    keeping = Keeping(settings.text_file_bytes, settings.text_files_bytes, settings.text_file_hours)
    return Feature(
        services={
            sms_media_pb2.DESCRIPTOR.services_by_name["SmsMediaService"]: SmsMediaServicer(deps, settings),
        },
        jobs={rules.FETCH: partial(jobs.fetch, deps.db, deps.outside.carrier, deps.files, keeping)},
    )
