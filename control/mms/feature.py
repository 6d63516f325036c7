"""The feature of files in texts: fetched for inbound ones, uploaded for outbound ones."""

from functools import partial

from control.base.filelinks import FileLinks
from control.feature import Deps, Feature, Sweep
from control.mms import jobs, mediatypes
from control.mms.ingress import TextFilesIngressServicer
from control.mms.mediatypes import FileLimits
from control.mms.servicer import SmsMediaServicer
from control.mms.usecases import TextUploads, UploadLimits
from hum.process import home
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2, sms_media_pb2

#: The largest file in a text that is kept.
TEXT_FILE_BYTES = 8 << 20
#: The most that is kept of all files in one text.
TEXT_FILES_BYTES = 24 << 20
#: Hours after which a file that the carrier does not hand over is given up.
TEXT_FILE_HOURS = 24.0
#: The most uploads that wait for their texts: of a person or key, and of an organization, with their bytes.
UPLOADS = UploadLimits(own_files=30, files=300, bytes=200_000_000)
#: Seconds between deletions of uploads that no text has sent.
UPLOAD_SWEEP_SECONDS = 300.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = FileLimits(TEXT_FILE_BYTES, TEXT_FILES_BYTES, TEXT_FILE_HOURS)
    uploads = TextUploads(deps.db, deps.files, UPLOADS)
    links = FileLinks(home.node_keys(settings))
    return Feature(
        services={
            sms_media_pb2.DESCRIPTOR.services_by_name["SmsMediaService"]: SmsMediaServicer(deps, settings, uploads),
            runtime_pb2.DESCRIPTOR.services_by_name["TextFilesIngressService"]: TextFilesIngressServicer(
                deps.calls_db, deps.files, links
            ),
        },
        sweeps=[Sweep("sms_uploads", partial(jobs.sweep_uploads, deps.db), UPLOAD_SWEEP_SECONDS)],
        jobs={mediatypes.FETCH: partial(jobs.fetch, deps.db, deps.clients.carrier, deps.files, limits)},
    )
