"""The feature `contacts`: its service, the jobs of look-ups, indexing, backfills and imports, and a sweep."""

from datetime import timedelta
from functools import partial

from control.contacts import carrierlookups, imports
from control.contacts.jobs import backfill_contacts, index_contact, look_up_contact
from control.contacts.servicer import ContactsServicer
from control.feature import Deps, Feature, Sweep
from hum.settings import ControlSettings
from hum.v1 import contacts_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    keep, most_a_day = timedelta(days=settings.lookup_days), settings.lookups_per_day
    look_up = partial(look_up_contact, deps.db, deps.clients.lookups, keep, most_a_day)
    again = min(keep, carrierlookups.AGAIN_AFTER)
    servicer = ContactsServicer(deps, settings)
    return Feature(
        services={contacts_pb2.DESCRIPTOR.services_by_name["ContactsService"]: servicer},
        jobs={
            carrierlookups.LOOK_UP_CONTACT: look_up,
            carrierlookups.LOOK_UP_SENDER: look_up,
            carrierlookups.LOOK_UP_AGAIN: partial(look_up_contact, deps.db, deps.clients.lookups, again, most_a_day),
            carrierlookups.INDEX_CONTACT: partial(index_contact, deps.db),
            carrierlookups.BACKFILL_CONTACTS: partial(backfill_contacts, deps.db),
            carrierlookups.IMPORT_CONTACTS: partial(imports.import_contacts, deps.db, settings.import_rest),
        },
        sweeps=[
            Sweep(
                "imports",
                partial(imports.close_stuck_imports, deps.db, settings.import_stuck_seconds),
                settings.sweep_seconds,
            )
        ],
    )
