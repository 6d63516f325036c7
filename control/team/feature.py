"""The feature of teams: members, their roles, invitations."""

from datetime import timedelta

from control.feature import Deps, Feature
from control.team.servicer import TeamServicer
from hum.settings import ControlSettings
from hum.v1 import team_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    servicer = TeamServicer(deps.cursors, timedelta(days=settings.invite_days))
    return Feature(services={team_pb2.DESCRIPTOR.services_by_name["TeamService"]: servicer})
