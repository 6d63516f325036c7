"""Rate limits of requests: per credential, organization and client address."""

from dataclasses import dataclass
from uuid import UUID

from control.base.rates import Allowance, Rates


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Rate limits: of valid credentials, organizations, addresses with unknown credentials, and stored KB."""

    credential: Rates
    organization: Rates
    unknown: Rates
    stored_kb: Rates

    def count(self, credential: bytes, organization: UUID | None, now_ms: float) -> Allowance:
        """Count a request; return what is left of the limit that is closer to exhaustion.  Raises RateLimited."""
        left = self.credential.consume(credential, now_ms)
        if organization is not None:
            left = min(left, self.organization.consume(organization.bytes, now_ms), key=_remaining)
        return left

    def count_message(self, organization: UUID, size: int, now_ms: float) -> None:
        """Count the bytes of a message whose method stores it.  Raises RateLimited."""
        self.stored_kb.consume(organization.bytes, now_ms, size / 1000)

    def charge(self, organization: UUID, stored_bytes: int, now_ms: float) -> None:
        """Count what a request has stored beyond its message."""
        self.stored_kb.charge(organization.bytes, now_ms, stored_bytes / 1000)


def _remaining(allowance: Allowance) -> int:
    return allowance.remaining
