"""The jobs on contacts."""

from control.base.job import Job

#: Each costs money at the carrier, and none is urgent.
LOOK_UP_CONTACT = Job("look_up_contact", concurrency=8, per_organization=2, timeout_seconds=60)
INDEX_CONTACT = Job("index_contact", concurrency=4, per_organization=1, priority=20, timeout_seconds=600)
BACKFILL_CONTACTS = Job("backfill_contacts", concurrency=2, per_organization=1, priority=10, timeout_seconds=3600)
