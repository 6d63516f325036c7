"""Sockets that are listened on: chosen, shared between processes, and handed from one to the next."""

import itertools
import random
import socket
from contextlib import suppress
from typing import NoReturn

from hum.network import INHERITED, Listen, parse_listen
from hum.refusal import refuse

#: The system gives outgoing connections higher ports: from 32768 on Linux (`net.ipv4.ip_local_port_range`).
LISTENING_PORTS = range(20_000, 32_768)
BACKLOG = 1024
TRIES = 200
#: Where this process looks next.  It chooses no port twice: one is free until whoever it was chosen for listens there.
_places = itertools.count(random.randrange(len(LISTENING_PORTS)))


def free_port(host: str, count: int = 1) -> int:
    """The first of `count` ports that nobody listens on and that the system gives to no outgoing connection meanwhile."""
    for _ in range(TRIES):
        ports = [LISTENING_PORTS[next(_places) % len(LISTENING_PORTS)] for _ in range(count)]
        if ports[-1] - ports[0] == count - 1 and all(is_free(Listen(host, port)) for port in ports):
            return ports[0]
    return refuse(f"no free port on {host}")


def is_free(listen: Listen) -> bool:
    """Whether nobody listens there; connections that linger from an earlier listener don't count."""
    with suppress(OSError), bound(listen, shared=False):
        return True
    return False


def bound(listen: Listen, *, shared: bool) -> socket.socket:
    """A socket that is bound and does not listen yet.  `shared`: others may bind it too, if all say so (SO_REUSEPORT).

    Raises OSError.
    """
    family, _, protocol, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # Named, because asyncio turns Nagle's algorithm off for sockets of this protocol only: else a response waits 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def listening(text: str, variable: str, *, shared: bool = False) -> socket.socket:
    """The socket that the setting `variable` names, listening: `host:port`, or `fd:N`, one that was inherited.

    An inherited one is the same socket in every process that has it: connections that one of them has not accepted when it
    leaves are the next one's.  With SO_REUSEPORT (`shared`) each has a queue of its own, which is lost with it.
    """
    listen = parse_listen(text)
    try:
        made = socket.socket(fileno=listen.port) if listen.host == INHERITED else bound(listen, shared=shared)
        made.listen(BACKLOG)
    except OSError as error:
        refuse_address(text, variable, error.strerror)
    made.set_inheritable(False)
    return made


def held(text: str, variable: str) -> socket.socket:
    """A socket that holds the port of the setting `variable` for others, and is not listened on here: `fd:N` as it was
    inherited, or one that others may bind too.

    What listens has to accept: a connection that is made before anybody does waits, and the carrier waits 5 s.
    """
    listen = parse_listen(text)
    try:
        made = socket.socket(fileno=listen.port) if listen.host == INHERITED else bound(listen, shared=True)
    except OSError as error:
        refuse_address(text, variable, error.strerror)
    made.set_inheritable(False)
    return made


def refuse_address(text: str, variable: str, reason: str | None) -> NoReturn:
    """End the process, because it can't listen there."""
    refuse(
        f"can't listen on {text} ({variable}): {reason}; give each process a port of its own, or port 0 for a free one"
    )
