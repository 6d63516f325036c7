"""When the dispatcher comes back to a campaign.  Pure."""

#: Organizations with more running campaigns are visited less often, so that others' campaigns don't wait behind them.
FEW_CAMPAIGNS = 20
#: Of one organization's campaigns together, beyond that.
VISITS_PER_SECOND = 20.0


def delay_seconds(wanted_seconds: float, running: int) -> float:
    """Return the seconds until the next visit to a campaign whose organization has so many running ones."""
    return wanted_seconds if running <= FEW_CAMPAIGNS else max(wanted_seconds, running / VISITS_PER_SECOND)
