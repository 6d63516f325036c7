"""State changes of conversations: each changes a locked row and appends one event.

A change to the present state is a no-op without an event.
"""

from uuid import UUID

from control.texts import outbox
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from storage import conversations, inbox
from storage.conversations import ConversationState
from storage.db import Tx

#: The actor in events, if it is not a member of the team.
API, AI = "api", "ai"


def by(principal: Principal) -> str:
    """Return the principal's name in events: a member's id, or `api`."""
    return (
        ids.show(Kind.USER, principal.user_id)
        if principal.session_id is not None and principal.user_id is not None
        else API
    )


async def close(tx: Tx, thread: ConversationState, by: str, reason: str | None = None) -> None:
    """Close the conversation: cancel its scheduled texts and the AI's pending turn."""
    if thread.status == "closed":
        return
    await inbox.close(tx, thread.id)
    await inbox.cancel_all(tx, thread.id, "closed")
    await outbox.closed(tx, thread, by, reason)


async def reopen(tx: Tx, thread: ConversationState, by: str) -> None:
    """Open the conversation, end its snooze, and put it into the inbox."""
    if thread.status == "open" and thread.snoozed_until is None and not thread.campaign_only:
        return
    await conversations.open(tx, thread.id)
    if thread.status == "closed":
        await outbox.reopened(tx, thread, by)


async def assign(tx: Tx, thread: ConversationState, assignee: UUID | None, by: str, reason: str | None = None) -> None:
    """Assign the conversation to a member of the team; None: unassign it."""
    if thread.assignee_id == assignee:
        return
    await inbox.assign(tx, thread.id, assignee)
    await outbox.assigned(tx, thread, assignee, by, reason)
