"""The rules of notifications: their kinds, recipients and limits.  Pure."""

from collections.abc import Mapping, Sequence

from control.base.job import Job

#: It retries for a day, and then gives up without a person.
SEND = Job("send_email", concurrency=8, per_organization=4, timeout_seconds=300, attempts=40)

VOICEMAIL, TRANSFER, WEBHOOK, LIMIT = "voicemail", "transfer", "webhook", "limit"
DIGEST, INVITATION = "digest", "invitation"
RECEIVED, TRANSCRIBED, INVITED = "voicemail.received", "voicemail.transcribed", "member.invited"
#: Events that make notices.  Some come from other features, and occur only where those are on.
KINDS: Mapping[str, str] = {
    RECEIVED: VOICEMAIL,
    "call.transfer_not_taken": TRANSFER,
    "webhook.failing": WEBHOOK,
    "webhook.disabled": WEBHOOK,
    "limit.warning": LIMIT,
}
EVENTS = frozenset({*KINDS, TRANSCRIBED, INVITED})
ROLES = ("viewer", "operator", "admin")
#: The roles that may be notified, as they may see the subject or can act on it.
ALLOWED: Mapping[str, Sequence[str]] = {VOICEMAIL: ROLES, TRANSFER: ROLES, WEBHOOK: ("admin",), LIMIT: ("admin",)}
#: The roles that are notified by default.
DEFAULT: Mapping[str, Sequence[str]] = {
    VOICEMAIL: ("operator", "admin"),
    TRANSFER: ("operator", "admin"),
    WEBHOOK: ("admin",),
    LIMIT: ("admin",),
}
#: Kinds about a voicemail or a call: told with what it is when the e-mail is sent, and only to who sees it.
OF_CALLS = (VOICEMAIL, TRANSFER)
#: The limits of pending notices per person, and of those shown in an e-mail, which counts the others.
MOST_WAITING, MOST_SHOWN = 200, 20


def is_default(kind: str, role: str) -> bool:
    """Return whether a role is notified by default."""
    return role in DEFAULT[kind]


def kind_of(kinds: Sequence[str]) -> str:
    """Return the kind of an e-mail with notices of these kinds."""
    return kinds[0] if len(set(kinds)) == 1 else DIGEST


def over_limit(sent: tuple[int, int], of_organization: int, of_address: int) -> str | None:
    """Return why an invitation is not sent, or None.  `sent`: those of 24 hours, by the organization and to the address."""
    if sent[0] >= of_organization:
        return f"the organization sent {of_organization} invitations in 24 hours"
    if sent[1] >= of_address:
        return f"{of_address} invitations were sent to this address in 24 hours"
    return None
