"""What keys may be made."""

from collections.abc import Sequence

from control.base.principal import EVERYTHING, has_scope, rank
from hum.errors import Forbidden, InsufficientScope


def grantable(maker_role: str, maker_scopes: tuple[str, ...] | None, role: str, scopes: Sequence[str]) -> list[str]:
    """The scopes of a key that a maker with this role (and, for a key, these scopes) makes.

    Raises Forbidden for a role above the maker's, InsufficientScope for a scope that the maker's key lacks.
    """
    if rank(role) > rank(maker_role):
        raise Forbidden(f"you are {maker_role}; a key can't be more")
    wanted = list(scopes) or [EVERYTHING]
    if maker_scopes is not None:
        for scope in wanted:
            if not (scope == EVERYTHING and EVERYTHING in maker_scopes) and not (
                scope != EVERYTHING and has_scope(maker_scopes, scope)
            ):
                raise InsufficientScope(f"your key lacks the scope {scope}")
    return wanted
