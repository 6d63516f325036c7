"""The feature of deletion: by age, as each organization has set it, and the steps left after a request."""

from functools import partial

from control.feature import Deps, Feature, Sweep
from control.retention import deletionlimits, organizations
from control.retention.jobs import begin_due_retention, delete_files, erase
from hum.settings import ControlSettings


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    return Feature(
        jobs={deletionlimits.ERASE: partial(erase, deps.db, deps.files, settings)},
        sweeps=[
            Sweep("retention", partial(begin_due_retention, deps.db), settings.retention_seconds),
            Sweep("files_of_deleted_calls", partial(delete_files, deps.db, deps.files), settings.sweep_seconds),
            Sweep(
                "deleted_organizations",
                partial(organizations.continue_deletions, deps.db, deps.files, deletionlimits.SWEEP_SECONDS),
                settings.sweep_seconds,
            ),
        ],
    )
