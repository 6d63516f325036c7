"""Contacts: who calls, what is known about them, and from which source."""

from datetime import timedelta
from functools import partial

from control.contacts import rules
from control.contacts.jobs import backfill_contacts, index_contact, look_up_contact
from control.contacts.servicer import ContactsServicer
from control.feature import Deps, Feature
from hum.settings import ControlSettings
from hum.v1 import contacts_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    keep = timedelta(days=settings.lookup_days)
    return Feature(
        services={contacts_pb2.DESCRIPTOR.services_by_name["ContactsService"]: ContactsServicer(deps.db, deps.cursors)},
        jobs={
            rules.LOOK_UP_CONTACT: partial(look_up_contact, deps.db, deps.outside.lookups, keep),
            rules.INDEX_CONTACT: partial(index_contact, deps.db),
            rules.BACKFILL_CONTACTS: partial(backfill_contacts, deps.db),
        },
    )
