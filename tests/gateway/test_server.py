"""The members of uvicorn and h11 that `gateway/server.py` stands on, though nobody promises them: an upgrade must keep each."""

import asyncio
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h11
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

#: Methods that ours override, and the function of theirs that calls each.
OVERRIDDEN: list[tuple[type, str, Callable[..., Any]]] = [
    (uvicorn.Server, "capture_signals", uvicorn.Server.serve),
    (uvicorn.Server, "main_loop", uvicorn.Server._serve),
    (uvicorn.Server, "shutdown", uvicorn.Server._serve),
    (H11Protocol, "handle_events", H11Protocol.data_received),
    (H11Protocol, "on_response_complete", H11Protocol.handle_events),
    (h11.Connection, "next_event", H11Protocol.handle_events),
]
#: The callbacks of asyncio that ours pass on to theirs.
CALLBACKS = ("connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing")
#: What ours read, set and call.
MEMBERS: dict[type, tuple[str, ...]] = {
    uvicorn.Server: ("on_tick", "should_exit", "force_exit", "started", "server_state"),
    ServerState: ("connections", "default_headers"),
    H11Protocol: ("conn", "cycle", "client", "loop", "transport", *CALLBACKS),
    h11.Connection: ("their_state",),
    RequestResponseCycle: ("response_complete",),
}
STATES = ("IDLE", "SEND_BODY", "SERVER", "Data", "Request")
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
    if kind is h11.Connection:
        return h11.Connection(h11.SERVER, 1 << 16)
    protocol = H11Protocol(config=config(), server_state=ServerState(), app_state={}, _loop=asyncio.new_event_loop())
    protocol.loop.close()
    return protocol


@pytest.mark.parametrize(("kind", "name", "caller"), OVERRIDDEN, ids=lambda each: getattr(each, "__name__", each))
def test_what_we_override_is_called(kind: type, name: str, caller: Callable[..., Any]) -> None:
    assert name in vars(kind), f"{kind.__name__}.{name} is gone {RELEASES}; gateway/server.py overrides it"
    code = getattr(caller, "__wrapped__", caller).__code__
    assert name in code.co_names, (
        f"{caller.__qualname__} no longer uses {name} {RELEASES}; gateway/server.py overrides it"
    )


@pytest.mark.parametrize(("kind", "names"), MEMBERS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_what_we_read_is_there(kind: type, names: tuple[str, ...]) -> None:
    if kind is RequestResponseCycle:
        assert set(names) <= set(RequestResponseCycle.__init__.__code__.co_names), (
            f"{kind.__name__}: {names} {RELEASES}"
        )
        return
    made = instance(kind)
    missing = [name for name in names if not hasattr(made, name)]
    assert not missing, f"{kind.__name__} has no {missing} {RELEASES}; gateway/server.py needs them"


def test_a_started_server_lists_its_sockets() -> None:
    """`servers` is set as the server starts."""
    assert "servers" in uvicorn.Server.startup.__code__.co_names, f"Server.servers {RELEASES}"


def test_the_states_of_h11_are_there() -> None:
    missing = [name for name in STATES if not hasattr(h11, name)]
    assert not missing, f"h11 has no {missing} {RELEASES}; gateway/server.py needs them"


def test_no_other_module_of_the_gateway_uses_them() -> None:
    for module in Path("gateway").rglob("*.py"):
        uses = any(f"import {name}" in module.read_text() for name in ("uvicorn", "h11"))
        assert not uses or module.name == "server.py", module
