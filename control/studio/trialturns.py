"""The dialogues of trials.  Pure."""

from collections.abc import Sequence

from hum.contract.errors import FieldError
from hum.v1 import studio_pb2 as pb

#: The limit of all turns of a trial together.
MOST_CHARS = 40_000
NOT_RUN = "This is a trial: {name} was not run, and nothing was done. Go on as if it had been done."
WAITS = (
    "This is a trial: {name} was not run. Outside of a trial a person would be asked whether it may; go on meanwhile."
)
BEGINS = "The call has begun, and nobody has said anything yet. Greet the caller."
#: The tools that end an agent's part in a call, and in a thread.
ENDS_CALLS = frozenset({"end_call", "transfer_to_number", "transfer_to_flow", "take_voicemail"})
ENDS_TEXTS = frozenset({"transfer_sms_to_flow", "stop_texting"})
#: The tool after which there is no reply.
SILENCES = "stop_texting"


def bad_turns(turns: Sequence[pb.TrialTurn]) -> list[FieldError]:
    """Return the errors in the dialogue so far."""
    problems = list[FieldError]()
    chars = 0
    for n, turn in enumerate(turns):
        calls = turn.tool_calls
        chars += len(turn.text) + sum(len(call.arguments) + len(call.result) for call in calls)
        if turn.speaker == pb.TRIAL_SPEAKER_CALLER and calls:
            problems.append(FieldError(f"turns[{n}].tool_calls", "are an agent's"))
        if not turn.text.strip() and not calls:
            problems.append(FieldError(f"turns[{n}].text", "is empty"))
    if chars > MOST_CHARS:
        problems.append(FieldError("turns", f"have {chars} characters together; {MOST_CHARS} are the limit"))
    if turns and turns[-1].speaker != pb.TRIAL_SPEAKER_CALLER:
        problems.append(
            FieldError(f"turns[{len(turns) - 1}].speaker", "must be caller: the agent answers the last turn")
        )
    return problems
