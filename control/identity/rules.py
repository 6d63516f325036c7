"""Which API keys a principal may create."""

from collections.abc import Sequence

from control.base.principal import EVERYTHING, SITE_ADMIN, has_scope, rank
from hum.errors import Forbidden, InsufficientScope
from hum.principal import Principal


def grantable(maker: Principal, role: str, scopes: Sequence[str]) -> list[str]:
    """The scopes of a key that `maker` creates.

    Raises Forbidden for a role above the maker's, InsufficientScope for a scope that the maker's key lacks.
    """
    if maker.role is None or rank(role) > rank(maker.role):
        raise Forbidden(f"A key can't have a role above yours ({maker.role or 'none'}).")
    granted = list(scopes) or [EVERYTHING]
    for scope in granted:
        if scope == SITE_ADMIN and not maker.site_admin:
            raise Forbidden(f"Only a site admin can create keys with the scope {SITE_ADMIN}.")
        if maker.key_id is not None and not _holds(maker.scopes, scope):
            raise InsufficientScope(f"Your key lacks the scope {scope}.")
    return granted


def _holds(scopes: tuple[str, ...], scope: str) -> bool:
    return EVERYTHING in scopes if scope == EVERYTHING else has_scope(scopes, scope)
