"""The feature of teams: members, their roles, invitations."""

from datetime import timedelta

from control.feature import Deps, Feature
from control.team.servicer import TeamServicer
from hum.settings import ControlSettings
from hum.v1 import team_pb2

#: Days before an invitation expires.
INVITE_DAYS = 14.0


def feature(_: ControlSettings, deps: Deps) -> Feature:
    servicer = TeamServicer(deps.cursors, timedelta(days=INVITE_DAYS))
    return Feature(services={team_pb2.DESCRIPTOR.services_by_name["TeamService"]: servicer})
