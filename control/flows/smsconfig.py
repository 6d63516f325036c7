"""A flow's configuration of the AI that answers texts, `sms_config_json`.  Pure."""

import json
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Config:
    """`sms_config_json`, with its defaults."""

    max_reply_chars: int = 1600
    debounce_ms: int = 3000
    max_turns_per_window: int = 30
    max_messages_per_run: int = 3
    max_tool_calls_per_turn: int = 8
    max_pending_followups: int = 3
    fallback_message: str | None = None


def config(text: str | None) -> Config:
    """Parse a flow's configuration, which was validated when it was stored."""
    stored = json.loads(text or "{}")
    names = {field.name for field in fields(Config)}
    return Config(**{name: value for name, value in stored.items() if name in names})
