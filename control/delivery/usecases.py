"""A user's decision about a text of unknown outcome."""

from uuid import UUID

from control.texts import statuses, writing
from hum.clock import now
from hum.contract.errors import InvalidState, NotFound
from storage import messages, sends, text_attempts
from storage.db import Tx
from storage.messages import MessageRow

#: The error code of a text that a user marked as failed.
GIVEN_UP = "given_up"


async def resolve(tx: Tx, id: UUID, resolution: str) -> MessageRow:
    """Finalize an unknown message as `sent` or `failed`, or send it again (`send_again`).

    A later status from the carrier overrides the decision.  Raises NotFound, InvalidState.
    """
    try:
        attempt = await text_attempts.lock_latest(tx, id)
    except NotFound:
        await messages.get(tx, id)
        raise InvalidState("No attempt was made at sending this message.") from None
    if attempt.status != "unknown":
        raise InvalidState(f"The message is not unknown: it is {attempt.status}.")
    if resolution == "send_again":
        at = now()
        await text_attempts.set(tx, attempt.id, "absent")
        await text_attempts.reschedule(tx, id, at, at + writing.KEEPS)
        await sends.notify_workers(tx, attempt.from_e164)
    else:
        await statuses.set_status(tx, attempt, resolution, GIVEN_UP if resolution == "failed" else None)
    return await messages.get(tx, id)
