"""Rate limits: a token bucket for each key, in this process."""

import math
from collections import OrderedDict
from dataclasses import dataclass

from hum.contract.errors import RateLimited

#: Most buckets; the least recently used one is dropped, and starts full when it is used again.
MAX_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ms: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """The remaining allowance after a request.  `reset_seconds`: until the bucket is full again."""

    limit: int
    remaining: int
    reset_seconds: int


class Rates:
    """Token buckets of `burst` requests for each key, refilled at `per_second`; time is an argument.

    `what` begins the message of a refusal.
    """

    def __init__(self, per_second: float, burst: int, what: str = "Too many requests") -> None:
        self._per_ms, self._burst, self._what = per_second / 1000, burst, what
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def consume(self, key: bytes, now_ms: float, cost: float = 1.0) -> Allowance:
        """Count a request by its cost.  Raises RateLimited, with the seconds to wait in its metadata.

        A request that costs more than `burst` needs a full bucket.
        """
        cost, bucket = min(cost, float(self._burst)), self._refilled(key, now_ms)
        if bucket.tokens < cost:
            wait = math.ceil((cost - bucket.tokens) / self._per_ms / 1000)
            raise RateLimited(f"{self._what}; retry in {wait} s.", retry_after_seconds=str(wait))
        bucket.tokens -= cost
        reset = math.ceil((self._burst - bucket.tokens) / self._per_ms / 1000)
        return Allowance(self._burst, int(bucket.tokens), reset)

    def charge(self, key: bytes, now_ms: float, cost: float) -> None:
        """Count what a request turned out to cost.

        Beyond `burst` it is a debt, of at most `burst`: later requests are refused until it is paid.
        """
        bucket = self._refilled(key, now_ms)
        bucket.tokens = max(-float(self._burst), bucket.tokens - cost)

    def _refilled(self, key: bytes, now_ms: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(float(self._burst), now_ms)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        bucket.tokens = min(float(self._burst), bucket.tokens + (now_ms - bucket.at_ms) * self._per_ms)
        bucket.at_ms = now_ms
        return bucket

    def refund(self, key: bytes) -> None:
        """Undo `consume`, for a request that turned out to count against another key."""
        if (bucket := self._buckets.get(key)) is not None:
            bucket.tokens += 1  # `consume` caps it at `burst`
