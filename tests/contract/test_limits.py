"""Rate limits of credentials, and their headers in answers."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import app
from control.base import rates
from control.base.rates import Rates
from hum import ids
from hum.contract.errors import RateLimited
from hum.ids import Kind
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


def test_a_debt_is_paid_before_the_next_request() -> None:
    bucket = Rates(1, 10)
    bucket.consume(b"k", 0, 8)
    bucket.charge(b"k", 0, 7)
    bucket.charge(b"other", 0, 7)
    with pytest.raises(RateLimited) as refused:
        bucket.consume(b"k", 2_000, 1)
    assert refused.value.metadata["retry_after_seconds"] == "4"
    bucket.consume(b"k", 6_000, 1)
    bucket.consume(b"other", 0, 3)


def test_a_debt_is_no_larger_than_a_burst() -> None:
    bucket = Rates(1, 10)
    for _ in range(3):
        bucket.charge(b"k", 0, 1_000)
    with pytest.raises(RateLimited) as refused:
        bucket.consume(b"k", 0, 1)
    assert refused.value.metadata["retry_after_seconds"] == "11"


def test_what_costs_more_takes_more() -> None:
    bucket = Rates(1, 10)
    bucket.consume(b"k", 0, 8)
    with pytest.raises(RateLimited) as refused:
        bucket.consume(b"k", 0, 4)
    assert refused.value.metadata["retry_after_seconds"] == "2"
    bucket.consume(b"k", 2_000, 4)
    bucket.consume(b"k", 12_000, 1_000)  # all there is


HOURS = {"weekly": {"mon": [["09:00", "17:00"]]}}


class TestKept:
    @pytest.fixture
    def limits(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        monkeypatch.setattr(app, "STORED_KB_BURST", 200)
        monkeypatch.setattr(app, "STORED_KB_PER_SECOND", 0.01)
        in_turn = {"organization_requests": 1, "organization_wait_seconds": 60}
        return {"rate_burst": 10_000, "organization_rate_burst": 10_000, **in_turn}

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

    async def test_a_short_change_counts_as_all_that_it_writes(self, edge: Edge) -> None:
        client = await edge.client()
        flow = await client.post("/api/flows", json={"name": "a0", "system_prompt": "p" * 20_000})
        path, answers = f"/api/flows/{flow.json()['id']}", [flow]
        while answers[-1].status_code < 300 and len(answers) < 40:
            answers.append(await client.patch(path, json={"name": f"a{len(answers) % 2}"}))
        refused = answers.pop()
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 1
        async with edge.plane.control.db.system() as tx:
            stored = await tx.fetchval("SELECT sum(octet_length(definition::text)) FROM flow_versions")
        assert 150_000 < stored < 230_000, "the limit, and the last request beyond it"
        assert (await client.get(path)).status_code == 200

    async def test_requests_that_are_queued_wait_for_what_those_before_them_store(self, edge: Edge) -> None:
        client = await edge.client()
        flow = await client.post("/api/flows", json={"name": "a", "system_prompt": "p" * 20_000})
        path = f"/api/flows/{flow.json()['id']}"
        answers = await asyncio.gather(*(client.patch(path, json={"name": f"a{n}"}) for n in range(20)))
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(200), statuses.count(429)) == (9, 11)

    async def test_an_answer_that_is_kept_for_repetitions_counts_too(self, edge: Edge, charged: list[int]) -> None:
        client = await edge.client()
        flow = await client.post("/api/flows", json={"name": "a", "system_prompt": "p" * 20_000})
        path = f"/api/flows/{flow.json()['id']}/duplicate"
        charged.clear()
        await client.post(path)
        for _ in range(2):
            assert (await client.post(path, headers={"Idempotency-Key": "k"})).status_code == 201
        once, kept = charged
        assert 20_000 < once < 21_000 and 2 * once - 100 < kept < 2 * once + 200, "a repetition stores nothing"

    async def test_what_is_read_by_post_is_not_counted(self, edge: Edge, charged: list[int]) -> None:
        client = await edge.client()
        preview = await client.post("/api/hours/preview", json={"business_hours_json": HOURS})
        assert preview.status_code == 200 and charged == []

    async def test_in_debt_one_can_read_and_end_things(self, edge: Edge, charged: list[int]) -> None:
        client = await edge.client()
        leaked = (await client.post("/api/api-keys", json={"name": "k", "role": "operator"})).json()["id"]
        flow = (await client.post("/api/flows", json={"name": "a", "system_prompt": "p" * 20_000})).json()["id"]
        while (await client.patch(f"/api/flows/{flow}", json={"name": f"a{len(charged)}"})).status_code == 200:
            pass
        charged.clear()
        answers = {
            path: (await client.request(verb, path, json=body)).status_code
            for verb, path, body in [
                ("POST", "/api/hours/preview", {"business_hours_json": HOURS}),
                ("DELETE", f"/api/flows/{flow}", None),
                ("DELETE", f"/api/api-keys/{leaked}", None),
                ("POST", f"/api/calls/{ids.show(Kind.CALL, ids.new())}/hangup", None),
                ("POST", f"/api/sms/campaigns/{ids.show(Kind.CAMPAIGN, ids.new())}/cancel", None),
            ]
        }
        assert [*answers.values()] == [200, 204, 204, 404, 404], answers
        assert len(charged) == 2 and min(charged) > 10, "what ended something was counted"
        kept = await client.post(
            "/api/hours/preview", json={"business_hours_json": HOURS}, headers={"Idempotency-Key": "k"}
        )
        assert kept.status_code == 429, "an answer that is kept is stored"

    async def test_the_bindings_of_a_copied_flow_count(self, edge: Edge, charged: list[int]) -> None:
        client = await edge.client()
        tool = {"name": "order", "description": "d", "method": "GET", "url": "https://shop.example/"}
        id = (await client.post("/api/tools", json=tool)).json()["id"]
        flow = (await client.post("/api/flows", json={"name": "a"})).json()["id"]
        bound = await client.post(
            f"/api/flows/{flow}/tools", json={"tool_id": id, "output_template": "t" * 8_000, "name": "find"}
        )
        assert bound.status_code == 201, bound.text
        charged.clear()
        assert (await client.post(f"/api/flows/{flow}/duplicate")).status_code == 201
        assert charged[0] > 8_000
