"""Kinds of jobs, for the code that enqueues them and the worker that runs them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job.  Its payload is an organization and the id of a row.

    `concurrency` is the limit over all workers, which PgQueuer counts in the database.  At most `per_organization` jobs
    of an organization are ready or running.  Further jobs are deferred until one of those ends, so that an
    organization's backlog never delays another's first job.  Higher priorities run first.
    """

    name: str
    concurrency: int
    per_organization: int
    priority: int = 0
    timeout_seconds: float = 120.0
    #: Attempts before the job becomes a dead letter; None: the worker's `job_attempts`.
    attempts: int | None = None

    def __post_init__(self) -> None:
        assert 0 < self.per_organization <= self.concurrency, (
            f"{self.name}: one organization may not take more than all"
        )
