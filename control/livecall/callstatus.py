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
#: The calling code of the countries whose carriers sign caller IDs (STIR/SHAKEN).
SIGNING_CODE = "+1"
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


def is_vouched_for(verification: str | None, direction: str, from_e164: str, to_e164: str) -> bool:
    """Tell whether what is known of the other party's number may be told to the agent.

    A number of ours has called it, or the network vouches for the caller ID.  Without a verdict, it does so only
    where none can be: neither number is of a country whose carriers sign.
    """
    if direction == "outbound" or verification is not None:
        return verification != "failed"
    return not from_e164.startswith(SIGNING_CODE) and not to_e164.startswith(SIGNING_CODE)
