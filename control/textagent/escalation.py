"""The escalation of a conversation from the AI to people."""

from control.texts import outbox, threads
from storage import conversations
from storage.conversations import ConversationState
from storage.db import Tx


async def escalate(tx: Tx, thread: ConversationState, reason: str, explanation: str | None = None) -> None:
    """Pause the AI in a locked conversation, and append an event with the reason.  `explanation`: the agent's own words for it.

    The assignee keeps the conversation; without one it stays unassigned.
    """
    await conversations.pause_ai(tx, thread.id, reason)
    await outbox.assigned(tx, thread, thread.assignee_id, threads.AI, explanation or reason)
