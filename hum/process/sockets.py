"""Listening sockets: chosen, shared between processes, and inherited from one process by the next."""

import itertools
import random
import socket
from contextlib import suppress
from typing import NoReturn

from hum.network import INHERITED, SocketAddress, parse_listen
from hum.refusal import refuse

#: Outgoing connections get higher ports: from 32768 on Linux (`net.ipv4.ip_local_port_range`).
LISTENING_PORTS = range(20_000, 32_768)
BACKLOG = 1024
ATTEMPTS = 200
#: Offsets of the next candidates.  No port is chosen twice: a chosen port stays free until its program listens on it.
_next_offsets = itertools.count(random.randrange(len(LISTENING_PORTS)))


def free_port(host: str, count: int = 1) -> int:
    """Return the first of `count` consecutive ports that are free and that outgoing connections do not get."""
    for _ in range(ATTEMPTS):
        ports = [LISTENING_PORTS[next(_next_offsets) % len(LISTENING_PORTS)] for _ in range(count)]
        if ports[-1] - ports[0] == count - 1 and all(is_free(SocketAddress(host, port)) for port in ports):
            return ports[0]
    return refuse(f"no free port on {host}")


def is_free(listen: SocketAddress) -> bool:
    """Tell whether a socket can be bound there; connections that linger from an earlier listener don't count."""
    with suppress(OSError), bind_socket(listen, shared=False):
        return True
    return False


def bind_socket(listen: SocketAddress, *, shared: bool) -> socket.socket:
    """Return a socket that is bound and does not listen yet.

    `shared`: others may bind it too, if all set SO_REUSEPORT.

    Raises OSError.
    """
    family, _, protocol, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # The protocol is explicit, because asyncio disables Nagle's algorithm only then: else a response waits 40 ms.
    new_socket = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        new_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        new_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        new_socket.bind(address)
    except OSError:
        new_socket.close()
        raise
    return new_socket


def listening_socket(text: str, variable: str, *, shared: bool = False) -> socket.socket:
    """Return a listening socket for the setting `variable`: `host:port`, or `fd:N` for an inherited one.

    An inherited socket is the same in every process that has it: when one process ends, the next accepts the
    connections that are still queued.  With SO_REUSEPORT (`shared`) every process has a queue, which ends with it.
    """
    listen = parse_listen(text)
    try:
        new_socket = (
            socket.socket(fileno=listen.port) if listen.host == INHERITED else bind_socket(listen, shared=shared)
        )
        new_socket.listen(BACKLOG)
    except OSError as error:
        refuse_address(text, variable, error.strerror)
    new_socket.set_inheritable(False)
    return new_socket


def reserve_socket(text: str, variable: str) -> socket.socket:
    """Return a bound socket that reserves the port of the setting `variable` for other processes, and does not listen.

    It is the inherited socket `fd:N`, or one that others may bind too.  Only processes that accept should listen: a
    connection that is queued before one accepts has to wait, and the carrier waits no longer than 5 s.
    """
    listen = parse_listen(text)
    try:
        new_socket = socket.socket(fileno=listen.port) if listen.host == INHERITED else bind_socket(listen, shared=True)
    except OSError as error:
        refuse_address(text, variable, error.strerror)
    new_socket.set_inheritable(False)
    return new_socket


def refuse_address(text: str, variable: str, reason: str | None) -> NoReturn:
    """End the process with a message that it can't listen there."""
    refuse(
        f"can't listen on {text} ({variable}): {reason}; give each process a port of its own, or port 0 for a free one"
    )
