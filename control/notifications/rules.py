"""Who is told what.  Pure."""

from collections.abc import Mapping, Sequence

from control.base.job import Job

#: It retries by itself for as long as HUM_EMAIL_HOURS says, and then gives up: no person is needed.
SEND = Job("send_email", concurrency=8, per_organization=4, timeout_seconds=300, attempts=40)

VOICEMAIL, WEBHOOK, LIMIT, DIGEST, INVITATION = "voicemail", "webhook", "limit", "digest", "invitation"
RECEIVED, TRANSCRIBED, INVITED = "voicemail.received", "voicemail.transcribed", "member.invited"
#: Events of which people are told.  Some are other features': where those are not, nothing is.
KINDS: Mapping[str, str] = {
    RECEIVED: VOICEMAIL,
    "webhook.failing": WEBHOOK,
    "webhook.disabled": WEBHOOK,
    "limit.warning": LIMIT,
}
EVENTS = frozenset({*KINDS, TRANSCRIBED, INVITED})
ROLES = ("viewer", "operator", "admin")
#: Who may be told: whoever may see it, or can do something about it.
ALLOWED: Mapping[str, Sequence[str]] = {VOICEMAIL: ROLES, WEBHOOK: ("admin",), LIMIT: ("admin",)}
#: Who is told without asking for it.
DEFAULT: Mapping[str, Sequence[str]] = {VOICEMAIL: ("operator", "admin"), WEBHOOK: ("admin",), LIMIT: ("admin",)}
#: What waits for one person at most; an e-mail tells of so many one by one, and counts the others.
MOST_WAITING, MOST_SHOWN = 200, 20


def is_default(kind: str, role: str) -> bool:
    """Tell whether somebody with this role is told without asking for it."""
    return role in DEFAULT[kind]


def kind_of(kinds: Sequence[str]) -> str:
    """The kind of an e-mail that tells of these."""
    return kinds[0] if len(set(kinds)) == 1 else DIGEST


def over_limit(sent: tuple[int, int], of_organization: int, of_address: int) -> str | None:
    """Why an invitation is not sent; None: it is.  `sent`: what was in a day, by the organization and to the address."""
    if sent[0] >= of_organization:
        return f"the organization sent {of_organization} invitations in 24 hours"
    if sent[1] >= of_address:
        return f"{of_address} invitations were sent to this address in 24 hours"
    return None
