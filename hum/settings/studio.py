"""The studio: flows tried by text, proposed and heard."""

from hum.settings.base import Common, constant


class StudioSettings(Common):
    """Limits on trials, and their time limits."""

    studio_trials_per_day: int = constant(500, "turns of trials that an organization may have in a day (UTC)", ge=0)
    studio_proposals_per_day: int = constant(50, "flows that an organization may have proposed in a day (UTC)", ge=0)
    studio_previews_per_day: int = constant(
        200, "sentences that an organization may hear rendered in a day (UTC)", ge=0
    )
    clips_per_day: int = constant(
        2000,
        "fixed sentences of flows that are rendered for an organization in a day (UTC); the model speaks others meanwhile",
        ge=0,
    )
    studio_concurrency: int = constant(
        4, "trials, proposals and previews of an organization at once, in each process", ge=1
    )
    studio_seconds: float = constant(
        45.0,
        "seconds that a trial's turn or a proposal may take; the gateway waits for longer",
        gt=0,
        le=300,
    )
