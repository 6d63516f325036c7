"""The AI's turns, as they are owed.  `control.textagent` takes them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from control.textagent import rules
from storage import text_runs
from storage.conversations import ConversationState
from storage.db import Tx


async def owe_at_once(tx: Tx, thread: ConversationState, at: datetime) -> None:
    """Something has become of what the AI asked for, in a conversation that is locked."""
    if thread.ai_paused_reason is None and await text_runs.config(tx, thread.id) is not None:
        await text_runs.owe(tx, thread.id, at, timedelta(), rules.CEILING)


async def owe_all(tx: Tx, threads: Sequence[ConversationState], at: datetime) -> None:
    """As `owe`, in several conversations, which are locked."""
    ids = [thread.id for thread in threads if thread.ai_paused_reason is None]
    if not ids:
        return
    configs = await text_runs.configs(tx, ids)
    debounces = {id: timedelta(milliseconds=rules.config(stored).debounce_ms) for id, stored in configs.items()}
    if debounces:
        await text_runs.owe_all(tx, debounces, at, rules.CEILING)


async def owe(tx: Tx, thread: ConversationState, at: datetime) -> None:
    """The contact has written in a conversation that is locked: if an AI answers there, it owes a turn.

    It is due once nobody has written for the flow's `debounce_ms`, but not later than the ceiling after the first text.
    """
    if thread.ai_paused_reason is not None:
        return
    stored = await text_runs.config(tx, thread.id)
    if stored is not None:
        debounce = timedelta(milliseconds=rules.config(stored).debounce_ms)
        await text_runs.owe(tx, thread.id, at, debounce, rules.CEILING)
