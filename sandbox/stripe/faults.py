"""Faults of requests to the stand-in, injected by tests."""

from dataclasses import dataclass, field
from enum import Enum, auto


class StripeFault(Enum):
    #: 429, without effect.
    RATE_LIMITED = auto()
    #: 500, without effect.
    FAILED = auto()
    #: 500, after the request took effect.
    FAILED_AFTER = auto()
    #: The connection breaks before the request takes effect.
    CUT = auto()
    #: The connection breaks after the request took effect, before the response.
    LOST = auto()


@dataclass(slots=True)
class StripeFaults:
    """Planned faults: a request with a matching method and path prefix gets the first one, which is then used up."""

    planned: list[tuple[str, StripeFault]] = field(default_factory=list)

    def plan(self, request: str, *faults: StripeFault) -> None:
        """Plan faults for the next requests that begin with `request`, such as `POST /v1/customers`."""
        self.planned += [(request, fault) for fault in faults]

    def next(self, method: str, path: str) -> StripeFault | None:
        line = f"{method} {path}"
        for index, (request, fault) in enumerate(self.planned):
            if line.startswith(request):
                del self.planned[index]
                return fault
        return None
