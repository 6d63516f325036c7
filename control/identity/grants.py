"""The API keys and organizations that a principal may create."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from control.base.principal import EVERYTHING, SITE_ADMIN, has_scope, rank
from hum.contract.errors import Forbidden, InsufficientScope, PlanLimit
from hum.contract.principal import Principal

OnboardingMode = Literal["open", "approval", "closed"]


@dataclass(frozen=True, slots=True)
class Onboarding:
    """The policy for new organizations.  The limit per person includes requests pending approval."""

    mode: OnboardingMode
    most_per_person: int


def needs_approval(principal: Principal, policy: Onboarding, founded: int) -> bool:
    """Return whether a person who has `founded` organizations needs approval for the next one; site admins never do.

    Raises Forbidden if the deployment accepts no organizations, PlanLimit beyond the limit.
    """
    if principal.site_admin:
        return False
    if policy.mode == "closed":
        raise Forbidden("This deployment accepts no new organizations; ask its operator to create one.")
    if founded >= policy.most_per_person:
        raise PlanLimit(
            f"You have created or requested {founded} organizations; the limit is {policy.most_per_person}."
        )
    return policy.mode == "approval"


def grantable(maker: Principal, role: str, scopes: Sequence[str]) -> list[str]:
    """Return the scopes of a key that `maker` creates.

    Raises Forbidden for a role above the maker's, InsufficientScope for a scope that the maker's key lacks.
    """
    if maker.role is None or rank(role) > rank(maker.role):
        raise Forbidden(f"A key can't have a role above yours ({maker.role or 'none'}).")
    key_scopes = list(scopes) or [EVERYTHING]
    for scope in key_scopes:
        if scope == SITE_ADMIN and not maker.site_admin:
            raise Forbidden(f"Only a site admin can create keys with the scope {SITE_ADMIN}.")
        if maker.key_id is not None and not _holds(maker.scopes, scope):
            raise InsufficientScope(f"Your key lacks the scope {scope}.")
    return key_scopes


def _holds(scopes: tuple[str, ...], scope: str) -> bool:
    return EVERYTHING in scopes if scope == EVERYTHING else has_scope(scopes, scope)
