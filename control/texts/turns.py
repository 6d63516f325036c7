"""The AI's pending turns in conversations, which `control.textagent` runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from control.flows import smsconfig
from storage import text_runs
from storage.conversations import ConversationState
from storage.db import Tx

#: The longest debounce: a turn begins this long after the first text, even if the contact goes on writing.
CEILING = timedelta(seconds=10)


async def schedule_now(tx: Tx, thread: ConversationState, at: datetime) -> None:
    """Schedule a turn at once in a locked conversation, for the result of something that the AI requested."""
    if thread.ai_paused_reason is None and await text_runs.config(tx, thread.id) is not None:
        await text_runs.schedule(tx, thread.id, at, timedelta(), CEILING)


async def schedule_all(tx: Tx, threads: Sequence[ConversationState], at: datetime) -> None:
    """Do as `schedule`, in several locked conversations."""
    ids = [thread.id for thread in threads if thread.ai_paused_reason is None]
    if not ids:
        return
    configs = await text_runs.configs(tx, ids)
    debounces = {
        id: timedelta(milliseconds=smsconfig.config(config_json).debounce_ms) for id, config_json in configs.items()
    }
    if debounces:
        await text_runs.schedule_all(tx, debounces, at, CEILING)


async def schedule(tx: Tx, thread: ConversationState, at: datetime) -> None:
    """Schedule a turn for a text in a locked conversation, if an AI answers there.

    The turn is due once the contact has been silent for the flow's `debounce_ms`, at the latest `CEILING` after its first text.
    """
    if thread.ai_paused_reason is not None:
        return
    stored = await text_runs.config(tx, thread.id)
    if stored is not None:
        debounce = timedelta(milliseconds=smsconfig.config(stored).debounce_ms)
        await text_runs.schedule(tx, thread.id, at, debounce, CEILING)
