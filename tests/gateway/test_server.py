"""The members of uvicorn and h11 that we stand on, though nobody promises them: an upgrade must keep each.

They are used in three modules: `gateway/server.py`, `sandbox/serving.py` and, for the tests, `tests/support/quick.py`.
"""

import asyncio
import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h11
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from sandbox.serving import cut, serving

#: Methods that ours override, and the function of theirs that calls each.
OVERRIDDEN: list[tuple[type, str, Callable[..., Any]]] = [
    (uvicorn.Server, "capture_signals", uvicorn.Server.serve),
    (uvicorn.Server, "main_loop", uvicorn.Server._serve),
    (uvicorn.Server, "_wait_tasks_to_complete", uvicorn.Server.shutdown),
    (uvicorn.Server, "shutdown", uvicorn.Server._serve),
    (H11Protocol, "handle_events", H11Protocol.data_received),
    (H11Protocol, "on_response_complete", H11Protocol.handle_events),
    (h11.Connection, "next_event", H11Protocol.handle_events),
    (h11.Connection, "send", RequestResponseCycle.send),
]
#: The callbacks of asyncio that ours pass on to theirs.
CALLBACKS = ("connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing")
#: What ours read, set and call.
MEMBERS: dict[type, tuple[str, ...]] = {
    uvicorn.Server: ("on_tick", "should_exit", "force_exit", "started", "server_state"),
    ServerState: ("connections", "default_headers"),
    H11Protocol: (
        "conn",
        "cycle",
        "client",
        "flow",
        "loop",
        "scope",
        "transport",
        "_unset_keepalive_if_required",
        *CALLBACKS,
    ),
    FlowControl: ("read_paused", "pause_reading", "resume_reading"),
    AutoHTTPProtocol: ("app_state", "connection_made"),
    h11.Connection: ("their_state", "trailing_data", "send"),
    RequestResponseCycle: ("response_complete",),
}
#: Methods that sleep between looks; the tests' sleep is shorter.
SLEEPING = ("shutdown", "_wait_tasks_to_complete")
NAMES = ("IDLE", "SEND_BODY", "SERVER", "Data", "NEED_DATA", "RemoteProtocolError", "Request", "Response")
RELEASES = f"of uvicorn {version('uvicorn')} and h11 {version('h11')}"


@cache
def config() -> uvicorn.Config:
    made = uvicorn.Config(lambda: None, ws="none", lifespan="off", log_config=None)
    made.load()
    return made


def instance(kind: type) -> Any:
    """Return an object as the gateway gets it."""
    if kind is uvicorn.Server:
        return uvicorn.Server(config())
    if kind is ServerState:
        return uvicorn.Server(config()).server_state
    if kind is FlowControl:
        return FlowControl(asyncio.Transport())
    if kind is h11.Connection:
        return h11.Connection(h11.SERVER, 1 << 16)
    protocol = kind(config=config(), server_state=ServerState(), app_state={}, _loop=asyncio.new_event_loop())
    protocol.loop.close()
    return protocol


@pytest.mark.parametrize(("kind", "name", "caller"), OVERRIDDEN, ids=lambda each: getattr(each, "__name__", each))
def test_what_we_override_is_called(kind: type, name: str, caller: Callable[..., Any]) -> None:
    assert name in vars(kind), f"{kind.__name__}.{name} is gone {RELEASES}; we override it"
    code = getattr(caller, "__wrapped__", caller).__code__
    assert name in code.co_names, f"{caller.__qualname__} no longer uses {name} {RELEASES}; we override it"


@pytest.mark.parametrize(("kind", "names"), MEMBERS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_what_we_read_is_there(kind: type, names: tuple[str, ...]) -> None:
    if kind is RequestResponseCycle:
        assert set(names) <= set(RequestResponseCycle.__init__.__code__.co_names), (
            f"{kind.__name__}: {names} {RELEASES}"
        )
        return
    made = instance(kind)
    missing = [name for name in names if not hasattr(made, name)]
    assert not missing, f"{kind.__name__} has no {missing} {RELEASES}; we need them"


def test_a_started_server_lists_its_sockets() -> None:
    """`servers` is set as the server starts."""
    assert "servers" in uvicorn.Server.startup.__code__.co_names, f"Server.servers {RELEASES}"


def test_the_names_of_h11_are_there() -> None:
    missing = [name for name in NAMES if not hasattr(h11, name)]
    assert not missing, f"h11 has no {missing} {RELEASES}; we need them"


@pytest.mark.parametrize("name", SLEEPING)
def test_the_sleep_of_an_ending_server_can_be_shortened(name: str) -> None:
    method = vars(uvicorn.Server)[name]
    assert {"asyncio", "sleep"} <= set(method.__code__.co_names), f"Server.{name} {RELEASES}; tests/support/quick.py"
    assert vars(uvicorn.server)["asyncio"] is asyncio


async def test_a_stand_in_finds_the_connection_of_a_request() -> None:
    """In the protocol's state, which uvicorn copies to each request."""

    async def hang_up(request: Request) -> Response:
        cut(request)
        return Response("too late")

    async with serving(Starlette(routes=[Route("/", hang_up)]), "127.0.0.1:0") as (host, port):
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"http://{host}:{port}/")


def test_no_other_module_uses_them() -> None:
    uses = re.compile(r"^\s*(?:import|from) (?:uvicorn|h11)\b", re.MULTILINE)
    # The second starts a server of others.
    users = {"gateway/server.py", "sandbox/serving.py", "bench/peers/pipecat_media.py"}
    for root in ("bench", "cli", "control", "gateway", "hum", "media", "realtime", "sandbox", "storage", "voice"):
        found = {str(module) for module in Path(root).rglob("*.py") if uses.search(module.read_text())}
        assert found <= users, found - users
