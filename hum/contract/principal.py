"""The principal behind a credential."""

from dataclasses import dataclass
from uuid import UUID

from hum.contract.errors import NoMembership


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers and agents that a limited member sees."""

    numbers: tuple[UUID, ...]
    flows: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or an API key.  A key always works in its organization; a person works in one, or in none yet."""

    organization: UUID | None
    role: str | None
    scopes: tuple[str, ...]
    key_id: UUID | None
    session_id: UUID | None
    user_id: UUID | None
    name: str
    site_admin: bool = False
    #: None: everything in the organization.
    limits: Limits | None = None

    @property
    def org_id(self) -> UUID:
        """The organization.  Raises NoMembership."""
        if self.organization is None:
            raise NoMembership
        return self.organization
