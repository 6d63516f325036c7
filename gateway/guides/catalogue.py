"""The guides: which pages of docs/ a running platform serves, for whom, and where a link to one of them leads.

Pages for those who work on HUM itself (architecture, decisions, benchmarks) are in its repository alone.
"""

import posixpath
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

DOCS: Final = resources.files("gateway") / "docs"
#: Pictures that guides show, as `console/home-desk-light.webp`.
PICTURE: Final = re.compile(r"console/[\w-]+\.webp")
#: A page that is named in a sentence, or the target of a link: `docs/webhooks.md#retries`.
NAMED: Final = re.compile(r"(\]\()?\bdocs/([\w-]+)\.md(#[\w-]+)?")


@dataclass(frozen=True, slots=True)
class GuideGroup:
    """Guides for one kind of reader, by name, with a sentence about each."""

    title: str
    guides: dict[str, str]


GROUPS: Final = (
    GuideGroup(
        "In the console",
        {
            "console": "What is where, and what the console keeps for you.",
            "knowledge": "Documents in which agents look things up.",
            "notifications": "The e-mails that people get.",
            "usage": "What is measured, and what it costs.",
            "billing": "Plans, limits, and paying by Stripe.",
            "privacy": "What is kept of a person, and how it is deleted.",
            "call-endings": "Every way in which a call ends, and what the caller hears.",
        },
    ),
    GuideGroup(
        "Connecting your systems",
        {
            "agent-setup": "A coding agent or an assistant that works with HUM, and the prompt for it.",
            "contract": "What no schema says: keys, errors, lists, streams, repeated requests.",
            "booking": "The book: what can be booked, free times, holds and appointments.",
            "sms-api": "Conversations, texts, opt-outs, campaigns and agents that text, over REST.",
            "webhooks": "Signed events at your server: verification, retries, payloads.",
            "events": "Each type of event and its data.",
            "triggers": "Addresses at which your systems post what happened there.",
            "event-agents": "Agents that an event starts.",
            "tools": "Requests to your systems that an agent makes while it talks.",
            "flow-hooks": "Requests to your systems before the agent speaks.",
            "mcp": "MCP servers of yours as tools of your agents.",
            "evals": "Simulated callers that test your agents before your callers do.",
            "crm-integration": "Your CRM says who calls, and learns of finished calls.",
            "authorization": "Which role and scope each operation needs.",
            "grpc": "The same operations over gRPC.",
            "not-implemented": "What the contract names and nothing acts on yet.",
        },
    ),
    GuideGroup(
        "Running the platform",
        {
            "models": "Which models agents speak with: OpenAI's, or your own speech recognition, language model and speech synthesis.",
            "going-live": "From a number that you bought to the first real call.",
            "install": "A server, its accounts, and a proxy in front.",
            "deploy": "One machine or several, sizes, upgrades and releases.",
            "operations": "What to watch, and what happens when a part dies.",
            "settings": "Every setting, its default and its meaning.",
            "security": "Each defence, and the test that holds it.",
            "keys": "Changing keys without losing a call.",
            "backup": "What has to be kept, and how it is restored.",
            "failover": "When the database moves to another machine.",
            "runbook": "What to do for each alert.",
        },
    ),
)
GROUP_OF: Final = {name: group for group in GROUPS for name in group.guides}


def address(name: str, anchor: str = "") -> str:
    """Return the path of a guide's page."""
    return f"/guides/{name}{anchor}"


@cache
def text(name: str) -> str:
    """Return a guide as Markdown."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


@cache
def title(name: str) -> str:
    return text(name).partition("\n")[0].removeprefix("# ")


def resolved(target: str) -> str | None:
    """Return where a link from a page of docs/ leads here; None if nothing serves it."""
    if re.match(r"https?://|#", target):
        return target
    path, hash_sign, anchor = posixpath.normpath(target).partition("#")
    if path.removesuffix(".md") in GROUP_OF:
        return address(path.removesuffix(".md"), hash_sign + anchor)
    return address(path) if PICTURE.fullmatch(path) else None


def with_addresses(document: Any, url: str) -> Any:
    """Return a JSON document in whose texts each `docs/<name>.md` is a link to the guide at this URL."""
    if isinstance(document, str):
        return NAMED.sub(lambda match: _link(match, url), document) if "docs/" in document else document
    if isinstance(document, dict):
        return {key: with_addresses(value, url) for key, value in document.items()}
    return [with_addresses(value, url) for value in document] if isinstance(document, list) else document


def _link(match: re.Match[str], url: str) -> str:
    is_target, name, anchor = match.groups(default="")
    if name not in GROUP_OF:
        return match.group()
    link = f"]({url}{address(name, anchor)}"
    return link if is_target else f"[{title(name)}{link})"
