"""What a kind of work is, for whoever owes it and for whoever does it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job.  Its payload is an organization and one row's id.

    `concurrency` is counted over all workers, as PgQueuer does in the database.  Of one organization at most
    `per_organization` are ready or running; those beyond are parked until one of them ends, so a long backlog of one
    organization never stands before another's first job.  Higher priorities are taken first.
    """

    name: str
    concurrency: int
    per_organization: int
    priority: int = 0
    timeout_seconds: float = 120.0
    #: Attempts before the job is held for a person; None: the worker's `HUM_JOB_ATTEMPTS`.
    attempts: int | None = None

    def __post_init__(self) -> None:
        assert 0 < self.per_organization <= self.concurrency, (
            f"{self.name}: one organization may not take more than all"
        )
