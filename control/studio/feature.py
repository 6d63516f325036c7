"""The feature of the studio: trials by text, proposals and previews of flows, before they take calls."""

from functools import partial

from control.feature import Deps, Feature, Sweep
from control.flows.choices import Choices
from control.studio.limits import ConcurrencyLimit
from control.studio.previews import Voices
from control.studio.proposals import Proposals
from control.studio.servicer import StudioServicer
from control.studio.trials import Trials
from control.usage.pricefiles import load
from hum.settings import ControlSettings
from hum.v1 import studio_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    choices, concurrency, clients = Choices.of(settings), ConcurrencyLimit(settings.studio_concurrency), deps.clients
    voices = Voices(deps.db, clients.speech, choices, concurrency, settings)
    servicer = StudioServicer(
        deps.db,
        Trials(deps.db, clients.responder, deps.tools, choices, concurrency, settings),
        Proposals(deps.db, deps.web, clients.writer, choices, concurrency, settings),
        voices,
        choices,
        partial(load, settings.prices),
    )
    return Feature(
        services={studio_pb2.DESCRIPTOR.services_by_name["StudioService"]: servicer},
        sweeps=[Sweep("voice_previews", voices.prune, settings.sweep_seconds)],
    )
