"""The studio: flows tried by text, proposed and heard."""

from hum.settings.base import Common, setting


class StudioSettings(Common):
    """Limits on trials, and their time limits."""

    studio_trials_per_day: int = setting(
        "HUM_STUDIO_TRIALS_PER_DAY", 500, "turns of trials that an organization may have in a day (UTC)", ge=0
    )
    studio_proposals_per_day: int = setting(
        "HUM_STUDIO_PROPOSALS_PER_DAY", 50, "flows that an organization may have proposed in a day (UTC)", ge=0
    )
    studio_previews_per_day: int = setting(
        "HUM_STUDIO_PREVIEWS_PER_DAY", 200, "sentences that an organization may hear rendered in a day (UTC)", ge=0
    )
    clips_per_day: int = setting(
        "HUM_CLIPS_PER_DAY",
        2000,
        "fixed sentences of flows that are rendered for an organization in a day (UTC); the model speaks others meanwhile",
        ge=0,
    )
    studio_concurrency: int = setting(
        "HUM_STUDIO_CONCURRENCY", 4, "trials, proposals and previews of an organization at once, in each process", ge=1
    )
    studio_seconds: float = setting(
        "HUM_STUDIO_SECONDS",
        45.0,
        "seconds that a trial's turn or a proposal may take; HUM_CONTROL_MODEL_SECONDS is longer",
        gt=0,
        le=300,
    )
    studio_tokens: int = setting(
        "HUM_STUDIO_TOKENS", 2000, "tokens that the model may write in one step of a trial", ge=100
    )
    studio_fetch_seconds: float = setting(
        "HUM_STUDIO_FETCH_SECONDS", 8.0, "seconds in which the page of a proposal must be there", gt=0, le=30
    )
    studio_page_bytes: int = setting(
        "HUM_STUDIO_PAGE_BYTES", 1 << 20, "the largest page of a proposal", ge=1024, le=15 << 20
    )
    studio_page_chars: int = setting(
        "HUM_STUDIO_PAGE_CHARS", 20_000, "characters of its text that the model reads", ge=100, le=200_000
    )
    studio_preview_hours: float = setting(
        "HUM_STUDIO_PREVIEW_HOURS", 24.0, "hours that a rendered preview is kept", gt=0
    )
