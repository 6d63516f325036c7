"""The jobs on contacts."""

from datetime import timedelta

from control.base.job import Job

#: Each costs money at the carrier, and none is urgent.
LOOK_UP_CONTACT = Job("look_up_contact", concurrency=8, per_organization=2, timeout_seconds=60)
INDEX_CONTACT = Job("index_contact", concurrency=4, per_organization=1, priority=20, timeout_seconds=600)
BACKFILL_CONTACTS = Job("backfill_contacts", concurrency=2, per_organization=1, priority=10, timeout_seconds=3600)
#: One at a time, after all that calls owe: an import takes what is left of the machine.
IMPORT_CONTACTS = Job("import_contacts", concurrency=2, per_organization=1, timeout_seconds=3600)
#: How long an import that has ended can be asked about.
KEEP_IMPORTS = timedelta(days=30)
IMPORT_STUCK = "It went wrong on our side. What it has taken so far is kept; import the file again for the rest."
