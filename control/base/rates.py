"""How many requests a credential may make: a token bucket each, in this process."""

import math
from collections import OrderedDict
from dataclasses import dataclass

from hum.errors import RateLimited

#: Beyond this many credentials, those idle the longest start with a full bucket again.
MOST_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ms: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left after a request.  `reset_seconds`: until the bucket is full again."""

    limit: int
    remaining: int
    reset_seconds: int


class Rates:
    """A bucket of `burst` requests for each credential, refilled at `per_second`; time is an argument."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_ms, self._burst = per_second / 1000, burst
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def take(self, credential: bytes, now_ms: float) -> Allowance:
        """Count a request.  Raises RateLimited, whose metadata say how long to wait."""
        bucket = self._buckets.get(credential)
        if bucket is None:
            bucket = self._buckets[credential] = _Bucket(float(self._burst), now_ms)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(credential)
        bucket.tokens = min(float(self._burst), bucket.tokens + (now_ms - bucket.at_ms) * self._per_ms)
        bucket.at_ms = now_ms
        if bucket.tokens < 1:
            wait = math.ceil((1 - bucket.tokens) / self._per_ms / 1000)
            raise RateLimited(f"Too many requests; retry in {wait} s.", retry_after_seconds=str(wait))
        bucket.tokens -= 1
        reset = math.ceil((self._burst - bucket.tokens) / self._per_ms / 1000)
        return Allowance(self._burst, int(bucket.tokens), reset)
