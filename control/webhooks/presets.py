"""Presets of webhooks for common receivers.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FOR_PEOPLE: Final = (
    "sms.received",
    "voicemail.transcribed",
    "call.summary",
    "conversation.assigned",
    "webhook.failing",
)


@dataclass(frozen=True, slots=True)
class Preset:
    title: str
    instructions: str
    #: The prefixes of its URLs; empty: any URL.
    url_prefixes: Sequence[str] = ()
    #: None: all.
    events: Sequence[str] = ()
    format: str = "event"
    ordered: bool = False


def _with_signature_note(what: str) -> str:
    return f"{what} It gets the event as JSON; verify the signature before you trust it."


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "slack": Preset(
            "Slack",
            "Make an incoming webhook in a Slack app and take its URL. It posts a line of text for each event.",
            ("https://hooks.slack.com/",),
            FOR_PEOPLE,
            "slack",
        ),
        "discord": Preset(
            "Discord",
            "Make a webhook in a channel's integrations and take its URL. It posts a line of text for each event.",
            ("https://discord.com/api/webhooks/", "https://discordapp.com/api/webhooks/"),
            FOR_PEOPLE,
            "discord",
        ),
        "teams": Preset(
            "Microsoft Teams",
            "Make a workflow that posts to a channel when a webhook request is received, and take its URL.",
            (),
            FOR_PEOPLE,
            "teams",
        ),
        "zapier": Preset(
            "Zapier",
            _with_signature_note("Begin a Zap with Webhooks by Zapier, Catch Raw Hook, and take its URL."),
            ("https://hooks.zapier.com/",),
        ),
        "make": Preset("Make", _with_signature_note("Begin a scenario with a custom webhook and take its URL.")),
        "n8n": Preset(
            "n8n",
            _with_signature_note("Begin a workflow with a Webhook node, method POST, and take its production URL."),
        ),
        "crm": Preset(
            "A system of records",
            _with_signature_note(
                "Any server of yours that keeps calls and conversations; each one's events come in order."
            ),
            (),
            ("call.*", "conversation.*", "sms.*", "voicemail.*"),
            "event",
            ordered=True,
        ),
    }
)
