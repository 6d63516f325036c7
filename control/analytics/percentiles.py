"""Percentiles from histogram bands."""

from collections.abc import Iterable


def percentile(bands: Iterable[tuple[int, int]], share: float, ratio: float) -> int | None:
    """Return the wait in ms that this share of turns did not exceed, as the middle of its band; None without turns.

    `bands` are (band, turns), shortest first.  Each band is `ratio` times as wide as the one before: with 1.1, the
    error is at most 5 %.
    """
    band_counts = list(bands)
    threshold = share * sum(turns for _, turns in band_counts)
    turns_so_far = 0
    for band, turns in band_counts:
        turns_so_far += turns
        if turns_so_far >= threshold:
            return round(float(ratio ** (band + 0.5)))
    return None
