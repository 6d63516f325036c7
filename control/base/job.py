"""A kind of job, for the code that enqueues it and the worker that runs it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job.  Its payload is an organization and one row's id.

    `concurrency` is counted over all workers, as PgQueuer does in the database.  At most `per_organization` jobs of one
    organization are ready or running; more are parked until one of those ends, so one organization's backlog never
    delays another's first job.  Higher priorities are taken first.
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
