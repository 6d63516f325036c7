"""Which events a key may read, and have sent: those of what it may read elsewhere.

The scope `webhooks:read` alone opens lists of events and deliveries, and not the texts and transcripts in them.
"""

from collections.abc import Iterable

from control.base.principal import has_scope
from hum.contract import eventtypes
from hum.contract.errors import InsufficientScope
from hum.contract.principal import Principal


def readable(principal: Principal) -> list[str]:
    """Return the names of the visible types that the principal may read: a person all of them."""
    return [type.name for type in eventtypes.by_name().values() if type.visible and may_read(principal, type.scope)]


def may_read_type(principal: Principal, type: str) -> bool:
    """Return whether the principal may read events of a type, one that a customer named too."""
    return eventtypes.family(type) in readable(principal)


def require(principal: Principal, patterns: Iterable[str]) -> None:
    """Raise InsufficientScope unless the principal may read all events that a pattern (`sms.received`, `sms.*`, `*`) matches."""
    patterns = [eventtypes.family(pattern) for pattern in patterns]
    needed = {
        type.scope
        for type in eventtypes.by_name().values()
        if type.visible and any(eventtypes.matches(pattern, type.name) for pattern in patterns)
    }
    if missing := sorted(scope for scope in needed if not may_read(principal, scope)):
        raise InsufficientScope(f"These events need the scope {', '.join(missing)} too.")


def may_read(principal: Principal, scope: str) -> bool:
    """Return whether the principal may read what needs a scope: a person always, by their role."""
    return principal.key_id is None or has_scope(principal.scopes, scope)
