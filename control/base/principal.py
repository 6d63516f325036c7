"""Who asks."""

from dataclasses import dataclass
from uuid import UUID

from hum.errors import Forbidden, InsufficientScope
from hum.v1 import options_pb2

ROLES = ("viewer", "operator", "admin")
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a key, in an organization."""

    org_id: UUID
    role: str
    scopes: tuple[str, ...]
    key_id: UUID | None
    user_id: UUID | None
    name: str


def rank(role: str) -> int:
    """0 for a viewer, 2 for an admin; each role includes those below."""
    return ROLES.index(role)


def require(who: Principal, access: options_pb2.Access) -> None:
    """Raise Forbidden or InsufficientScope unless `who` may call a method with this access option."""
    if rank(who.role) < access.role - 1:
        raise Forbidden(f"this needs the role {ROLES[access.role - 1]}; yours is {who.role}")
    if who.key_id is not None and not has_scope(who.scopes, access.scope):
        raise InsufficientScope(f"this needs the scope {access.scope}")


def has_scope(scopes: tuple[str, ...], wanted: str) -> bool:
    """Writing includes reading."""
    if not wanted or EVERYTHING in scopes or wanted in scopes:
        return True
    area, _, verb = wanted.partition(":")
    return verb == "read" and f"{area}:write" in scopes
