"""The feature of opt-outs: contacts that want no texts."""

from control.feature import Deps, Feature
from control.optouts.servicer import OptOutServicer
from hum.settings import ControlSettings
from hum.v1 import opt_outs_pb2


def feature(_: ControlSettings, deps: Deps) -> Feature:
    service = opt_outs_pb2.DESCRIPTOR.services_by_name["OptOutService"]
    return Feature(services={service: OptOutServicer(deps.cursors)})
