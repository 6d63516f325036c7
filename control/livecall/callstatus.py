"""The statuses of calls, the carrier's and ours, and the job that follows a call's end.  Pure."""

from collections.abc import Mapping

from control.base.job import Job

#: The job that summarizes, judges and indexes an ended call; its priority is above all other jobs.
AFTER_CALL = Job("after_call", concurrency=32, per_organization=8, priority=100, timeout_seconds=180)

LIVE = ("queued", "ringing", "in_progress")
#: More turns than any stream has.
TURNS_OF_A_STREAM = 100_000
#: The `end_reason` of a call that was not answered because control was unavailable.
AWAY_REASON = "control_away"
#: The carrier's status of a call that was answered.
ANSWERED = "in-progress"
#: The carrier's status of a call that never had a stream -> the call's status.
CARRIER_ENDINGS: Mapping[str, str] = {
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
    "completed": "canceled",
}
