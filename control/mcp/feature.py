"""The feature of MCP servers: other systems' tools for agents."""

from control.base.egress import Policy
from control.feature import Deps, Feature, Sweep
from control.mcp.client import Connections
from control.mcp.sealing import McpSealer
from control.mcp.servicer import McpServersServicer
from control.mcp.serving import McpServing
from control.mcp.usecases import McpServerLimits
from hum.settings import ControlSettings
from hum.v1 import mcp_pb2

#: Seconds between polls for MCP servers whose tools are to be read; new ones are first.
MCP_POLL_SECONDS = 2.0


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    sealer = McpSealer(deps.keyring)
    serving = McpServing(deps.db, Connections(deps.web, settings, deps.stopping), sealer, settings)
    limits = McpServerLimits(settings.mcp_servers, settings.mcp_flow_servers, Policy(settings.egress_networks))
    return Feature(
        services={
            mcp_pb2.DESCRIPTOR.services_by_name["McpServersService"]: McpServersServicer(
                deps.db, deps.cursors, sealer, serving, limits
            ),
        },
        sweeps=[Sweep("mcp_servers", serving.refresh_due, MCP_POLL_SECONDS)],
        tool_sources=[serving.tools],
    )
