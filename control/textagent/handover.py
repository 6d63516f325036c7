"""The AI gives a conversation to people, and says why."""

from control.texts import outbox, threads
from storage import conversations
from storage.conversations import ConversationState
from storage.db import Tx


async def hand_over(tx: Tx, thread: ConversationState, reason: str, explanation: str | None = None) -> None:
    """Pause the AI in a conversation that is locked, and tell whoever watches.  `explanation`: the agent's own words for why.

    Whoever works on it goes on; if nobody does, whoever is free takes it.
    """
    await conversations.pause_ai(tx, thread.id, reason)
    await outbox.assigned(tx, thread, thread.assignee_id, threads.AI, explanation or reason)
