"""What a principal may do: roles and scopes against a method's access option."""

from hum.authorization import scoped_accesses
from hum.errors import Forbidden, InsufficientScope, NoMembership, Refused, SessionRequired
from hum.principal import Principal
from hum.v1 import options_pb2

ROLES = ("viewer", "operator", "admin")
EVERYTHING = "*"
SITE_ADMIN = "site:admin"


def rank(role: str) -> int:
    """0 for a viewer, 2 for an admin; each role includes those below."""
    return ROLES.index(role)


def require(who: Principal, access: options_pb2.Access) -> None:
    """Raise a refusal unless `who` may call a method with this access option."""
    if access.session_only and who.session_id is None:
        raise SessionRequired("This needs a signed-in person; API keys can't do it.")
    if access.scope == SITE_ADMIN:
        if who.key_id is not None and SITE_ADMIN not in who.scopes:
            raise InsufficientScope(f"This needs the scope {SITE_ADMIN}.")
        if not who.site_admin:
            raise Forbidden("This needs a site admin of the deployment.")
        return
    if access.audience == options_pb2.AUDIENCE_SIGNED_IN:
        return
    if who.organization is None or who.role is None:
        raise NoMembership
    if rank(who.role) < access.role - 1:
        raise Forbidden(f"This needs the role {ROLES[access.role - 1]}; yours is {who.role}.")
    if who.key_id is not None and not has_scope(who.scopes, access.scope):
        raise InsufficientScope(f"This needs the scope {access.scope}.")


def permissions(who: Principal) -> list[str]:
    """The scopes of all methods that `who` may call, in alphabetical order; what only concerns a person's own settings is left out."""
    return sorted({access.scope for access in scoped_accesses() if _may(who, access)})


def _may(who: Principal, access: options_pb2.Access) -> bool:
    try:
        require(who, access)
    except Refused:
        return False
    return True


def has_scope(scopes: tuple[str, ...], scope: str) -> bool:
    """Writing includes reading; `*` includes every scope but the deployment's own."""
    if not scope or scope in scopes or (EVERYTHING in scopes and scope != SITE_ADMIN):
        return True
    area, _, verb = scope.partition(":")
    return verb == "read" and f"{area}:write" in scopes
