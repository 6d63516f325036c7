"""The feature of transfers: the agent's tool.  The commands of people are in `control.calls.servicer`."""

from control.feature import Deps, Feature
from control.transfers.tool import transfer_to_number
from hum.settings import ControlSettings


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    return Feature(tools=[transfer_to_number(deps.db, settings.countries, round(settings.tool_seconds * 1000))])
