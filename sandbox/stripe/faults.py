"""What goes wrong with requests to the stand-in, when a test asks for it."""

from dataclasses import dataclass, field
from enum import Enum, auto


class Fault(Enum):
    #: 429: it is not carried out.
    RATE_LIMITED = auto()
    #: 500, and it is not carried out.
    FAILED = auto()
    #: It is carried out, and the answer is a 500.
    FAILED_AFTER = auto()
    #: No answer: the connection breaks before it is carried out.
    CUT = auto()
    #: It is carried out, and the connection breaks before the answer.
    LOST = auto()


@dataclass(slots=True)
class Faults:
    """The next requests whose method and path begin so; each meets the faults in this order, and then none."""

    planned: list[tuple[str, Fault]] = field(default_factory=list)

    def plan(self, request: str, *faults: Fault) -> None:
        """`request`: like `POST /v1/customers`."""
        self.planned += [(request, fault) for fault in faults]

    def next(self, method: str, path: str) -> Fault | None:
        line = f"{method} {path}"
        for index, (request, fault) in enumerate(self.planned):
            if line.startswith(request):
                del self.planned[index]
                return fault
        return None
