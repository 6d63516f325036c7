"""Flows: the agents, and their fixed sentences."""

from functools import partial

from control.feature import Deps, Feature
from control.flows import rules
from control.flows.jobs import render_clips
from control.flows.servicer import FlowsServicer
from hum.settings import ControlSettings
from hum.v1 import flows_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    return Feature(
        services={flows_pb2.DESCRIPTOR.services_by_name["FlowsService"]: FlowsServicer(deps.cursors)},
        jobs={rules.RENDER_CLIPS: partial(render_clips, deps.db, deps.outside.speech, settings.default_voice)},
    )
