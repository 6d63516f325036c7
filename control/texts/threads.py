"""What happens to a conversation, whoever has it happen: each of these changes a row that is locked, with its event, once.

What is so already changes nothing, and nobody is told.
"""

from uuid import UUID

from control.texts import outbox
from hum import ids
from hum.ids import Kind
from hum.principal import Principal
from storage import conversations, inbox
from storage.conversations import ConversationState
from storage.db import Tx

#: Who did it, in events, if it was no member of the team.
API, AI = "api", "ai"


def by(who: Principal) -> str:
    """The principal's name in events: a member's id, or `api`."""
    return ids.show(Kind.USER, who.user_id) if who.session_id is not None and who.user_id is not None else API


async def close(tx: Tx, thread: ConversationState, by: str, reason: str | None = None) -> None:
    """Nothing waits in it any more, and the AI owes it nothing."""
    if thread.status == "closed":
        return
    await inbox.close(tx, thread.id)
    await inbox.cancel_all(tx, thread.id, "closed")
    await outbox.closed(tx, thread, by, reason)


async def reopen(tx: Tx, thread: ConversationState, by: str) -> None:
    """It is open, and not put off."""
    if thread.status == "open" and thread.snoozed_until is None:
        return
    await conversations.open(tx, thread.id)
    if thread.status == "closed":
        await outbox.reopened(tx, thread, by)


async def assign(tx: Tx, thread: ConversationState, assignee: UUID | None, by: str, reason: str | None = None) -> None:
    """Give it to a member of the team, or to nobody: whoever is free takes it."""
    if thread.assignee_id == assignee:
        return
    await inbox.assign(tx, thread.id, assignee)
    await outbox.assigned(tx, thread, assignee, by, reason)
