"""The jobs on contacts, and when a carrier lookup is due.  Pure."""

from datetime import datetime, timedelta

from control.base.job import Job

#: A lookup costs money at the carrier and is not urgent; an organization has a daily limit, since anyone can call it.
LOOK_UP_CONTACT = Job("look_up_contact", concurrency=8, per_organization=2, timeout_seconds=60)
#: The same for senders of texts: a queue of their own, so that a flood of texts does not delay lookups of callers.
LOOK_UP_SENDER = Job("look_up_sender", concurrency=8, per_organization=2, timeout_seconds=60)
#: What a person asks for: an answer that is old or missing.
LOOK_UP_AGAIN = Job("look_up_again", concurrency=4, per_organization=2, timeout_seconds=60)
INDEX_CONTACT = Job("index_contact", concurrency=4, per_organization=1, priority=20, timeout_seconds=600)
BACKFILL_CONTACTS = Job("backfill_contacts", concurrency=2, per_organization=1, priority=10, timeout_seconds=3600)
#: One at a time per organization, at the lowest priority: jobs that calls need come first.
IMPORT_CONTACTS = Job("import_contacts", concurrency=2, per_organization=1, timeout_seconds=3600)
#: A look-up younger than this is not repeated.
AGAIN_AFTER = timedelta(days=1)
#: How long an import is kept after its end.
KEEP_IMPORTS = timedelta(days=30)
#: How long the rows that were not imported are kept after the import's end.
KEEP_FAILURES = timedelta(days=7)
IMPORT_STUCK = (
    "Something went wrong on our side. The rows imported so far are kept; import the file again for the rest."
)


def is_lookup_due(looked_up_at: datetime | None, now: datetime, keep: timedelta) -> bool:
    """Tell whether a caller's last carrier lookup is older than `keep`, or missing.  With zero, return False."""
    return keep > timedelta(0) and (looked_up_at is None or looked_up_at < now - keep)
