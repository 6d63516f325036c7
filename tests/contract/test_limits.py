"""Rate limits of credentials, and their headers in answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import app
from control.base import rates
from control.base.rates import Rates
from hum.contract.errors import RateLimited
from tests.contract.conftest import Edge


@pytest.fixture
def limits() -> dict[str, float]:
    """Five at once, and one more every other second: slower than any machine that runs this."""
    return {"rate_burst": 5, "rate_per_second": 0.5}


async def test_answers_tell_what_is_left(edge: Edge, limits: dict[str, float]) -> None:
    client = await edge.client()
    seen = [await client.get("/api/flows") for _ in range(4)]
    assert [answer.headers["ratelimit-limit"] for answer in seen] == ["5"] * 4
    left = [int(answer.headers["ratelimit-remaining"]) for answer in seen]
    assert left == sorted(left, reverse=True) and left[0] == 4
    refused = await client.post("/api/flows", json={"name": ""})
    assert refused.status_code == 400 and "ratelimit-remaining" in refused.headers


async def test_too_many_are_refused_and_change_nothing(edge: Edge, limits: dict[str, float]) -> None:
    client, other = await edge.client(), await edge.client("Other")
    answers = [await client.post("/api/flows", json={"name": "a"}) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and answers[0].status_code == 201
    assert refused[0].json()["error"]["code"] == "rate_limited"
    assert int(refused[0].headers["retry-after"]) >= 1 and "ratelimit-limit" not in refused[0].headers
    assert (await other.get("/api/flows")).status_code == 200  # each has its own
    async with edge.plane.control.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM flows") == len(answers) - len(refused)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=60))
def test_never_more_than_burst_and_rate(gaps_ms: list[float]) -> None:
    bucket, now_ms, taken = Rates(10, 5), 0.0, []
    for gap in gaps_ms:
        now_ms += gap
        try:
            bucket.consume(b"k", now_ms)
        except RateLimited as refused:
            assert int(refused.metadata["retry_after_seconds"]) >= 1
        else:
            taken.append(now_ms)
    for index, since in enumerate(taken):  # in any window
        for count, until in enumerate(taken[index:], start=1):
            assert count <= 5 + (until - since) / 100 + 1e-6


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_BUCKETS", 3)
    limited = Rates(1, 1)
    for key in (b"a", b"b", b"c", b"d"):
        limited.consume(key, 0)
    assert len(limited._buckets) == 3
    limited.consume(b"a", 0)  # forgotten, and so new
    with pytest.raises(RateLimited):
        limited.consume(b"d", 0)


def test_what_costs_more_takes_more() -> None:
    bucket = Rates(1, 10)
    bucket.consume(b"k", 0, 8)
    with pytest.raises(RateLimited) as refused:
        bucket.consume(b"k", 0, 4)
    assert refused.value.metadata["retry_after_seconds"] == "2"
    bucket.consume(b"k", 2_000, 4)
    bucket.consume(b"k", 12_000, 1_000)  # all there is


class TestKept:
    @pytest.fixture
    def limits(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        monkeypatch.setattr(app, "STORED_KB_BURST", 200)
        monkeypatch.setattr(app, "STORED_KB_PER_SECOND", 0.01)
        return {"rate_burst": 10_000, "organization_rate_burst": 10_000}

    async def test_an_organization_fills_the_database_only_so_fast(self, edge: Edge) -> None:
        client, other = await edge.client(), await edge.client("Other")
        contact = {"notes": "n" * 4_000}
        statuses = []
        for n in range(70):
            made = await client.post("/api/contacts", json={**contact, "phone_e164": f"+13175550{n:03d}"})
            statuses.append(made.status_code)
        assert statuses[0] == 201 and statuses[-1] == 429 and statuses.count(201) < 60
        assert (await client.get("/api/contacts")).status_code == 200, "what is read is not counted"
        assert (await other.post("/api/contacts", json={**contact, "phone_e164": "+13175550100"})).status_code == 201
