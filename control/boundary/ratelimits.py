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

    def count(self, credential: bytes, organization: UUID | None, stored_bytes: int, now_ms: float) -> Allowance:
        """Count a request; return what is left of the limit that is closer to exhaustion.  Raises RateLimited."""
        left = self.credential.consume(credential, now_ms)
        if organization is not None:
            left = min(left, self.organization.consume(organization.bytes, now_ms), key=_remaining)
            if stored_bytes:
                self.stored_kb.consume(organization.bytes, now_ms, stored_bytes / 1000)
        return left


def _remaining(allowance: Allowance) -> int:
    return allowance.remaining
