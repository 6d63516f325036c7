"""The feature `flows`: its service, and the job that renders prompts."""

from functools import partial

from control.feature import Deps, Feature
from control.flows import flowchecks
from control.flows.choices import Choices
from control.flows.jobs import render_clips
from control.flows.servicer import FlowsServicer
from hum.settings import ControlSettings
from hum.v1 import flows_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    choices = Choices.of(settings)
    render = partial(render_clips, deps.db, deps.clients.speech, choices, settings.clips_per_day)
    return Feature(
        services={flows_pb2.DESCRIPTOR.services_by_name["FlowsService"]: FlowsServicer(deps.cursors, choices)},
        jobs={flowchecks.RENDER_CLIPS: render},
    )
