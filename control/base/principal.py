"""Authorization of principals: roles and scopes against a method's access option."""

from hum.contract.authorization import scoped_accesses
from hum.contract.errors import Forbidden, InsufficientScope, NoMembership, RequestRefused, SessionRequired
from hum.contract.principal import Principal
from hum.v1 import options_pb2

ROLES = ("viewer", "operator", "admin")
EVERYTHING = "*"
SITE_ADMIN = "site:admin"


def rank(role: str) -> int:
    """Return a role's rank, 0 for a viewer to 2 for an admin; a role includes those of lower rank."""
    return ROLES.index(role)


def require(principal: Principal, access: options_pb2.Access) -> None:
    """Raise a refusal unless the principal may call a method with this access option.

    Raises SessionRequired, InsufficientScope, Forbidden, NoMembership.
    """
    if access.session_only and principal.session_id is None:
        raise SessionRequired("This needs a signed-in person; API keys can't do it.")
    if access.scope == SITE_ADMIN:
        if principal.key_id is not None and SITE_ADMIN not in principal.scopes:
            raise InsufficientScope(f"This needs the scope {SITE_ADMIN}.")
        if not principal.site_admin:
            raise Forbidden("This needs a site admin of the deployment.")
        return
    if access.audience == options_pb2.AUDIENCE_SIGNED_IN:
        return
    if principal.organization is None or principal.role is None:
        raise NoMembership
    if rank(principal.role) < access.role - 1:
        raise Forbidden(f"This needs the role {ROLES[access.role - 1]}; yours is {principal.role}.")
    if access.whole_organization and principal.limits is not None:
        raise Forbidden("This shows or changes the whole organization, and you see some of its numbers or agents only.")
    if principal.key_id is not None and not has_scope(principal.scopes, access.scope):
        raise InsufficientScope(f"This needs the scope {access.scope}.")


def permissions(principal: Principal) -> list[str]:
    """Return the sorted scopes of the methods that the principal may call, without those for personal settings."""
    return sorted({access.scope for access in scoped_accesses() if may_call(principal, access)})


def may_call(principal: Principal, access: options_pb2.Access) -> bool:
    """Return whether the principal may call a method with this access option."""
    try:
        require(principal, access)
    except RequestRefused:
        return False
    return True


def has_scope(scopes: tuple[str, ...], scope: str) -> bool:
    """Tell whether scopes include a scope: `write` includes `read`, and `*` all scopes but the deployment's own."""
    if not scope or scope in scopes or (EVERYTHING in scopes and scope != SITE_ADMIN):
        return True
    area, _, verb = scope.partition(":")
    return verb == "read" and f"{area}:write" in scopes
