"""The feature `httptools`: tools, their bindings and secrets, and the registry's source.  Calls run the hooks."""

from control.base.egress import Policy
from control.feature import Deps, Feature
from control.httptools.agents import BoundTools
from control.httptools.requestsender import Requests
from control.httptools.servicer import ToolBindingsServicer, ToolSecretsServicer, ToolsServicer
from control.httptools.usecases import HttpTools
from hum.settings import ControlSettings
from hum.v1 import tools_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    requests = Requests(deps.db, deps.web, deps.keyring, settings)
    tools = HttpTools(deps.tools, settings, Policy(settings.egress_networks))
    services = tools_pb2.DESCRIPTOR.services_by_name
    return Feature(
        services={
            services["ToolsService"]: ToolsServicer(deps.db, deps.cursors, tools, requests),
            services["ToolBindingsService"]: ToolBindingsServicer(deps.cursors, tools),
            services["ToolSecretsService"]: ToolSecretsServicer(deps.cursors, deps.keyring, settings.tool_secrets),
        },
        tool_sources=[BoundTools(requests).of_flow],
    )
