"""The feature of voicemail: messages that callers leave.  Its RPCs are in `control.review`."""

from functools import partial

from control.feature import Deps, Feature
from control.voicemail import jobs, messageparts
from control.voicemail.tools import take_voicemail
from hum.settings import ControlSettings


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    files = deps.files
    return Feature(
        jobs={
            messageparts.KEEP: partial(jobs.create, deps.db, files, round(settings.voicemail_min_voice_ms)),
            messageparts.TRANSCRIBE: partial(jobs.transcribe, deps.db, deps.clients.transcriber, files),
            messageparts.ERASE: partial(jobs.erase, deps.db, files),
        },
        tools=[take_voicemail(deps.db, round(settings.tool_seconds * 1000))],
    )
