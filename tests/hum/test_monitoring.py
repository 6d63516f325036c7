"""The operator's socket, asked as a scraper and a load balancer would."""

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from hum.network import SocketAddress
from hum.process import monitoring
from hum.settings import Common


async def test_readiness_says_what_is_missing_and_metrics_are_prometheus(tmp_path: Path) -> None:
    missing: list[str] = []

    async def ready() -> list[str]:
        return missing

    async with monitoring.serve(Common(home=tmp_path, ready_cache_seconds=0), ready) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            page = await http.get("/metrics")
            assert page.headers["content-type"].startswith("text/plain") and "python_info" in page.text
            assert (await http.get("/readyz")).text == "ready\n"
            missing[:] = ["The database is away.", "The worker is draining."]
            answer = await http.get("/readyz")
            assert (answer.status_code, answer.text) == (503, "The database is away.\nThe worker is draining.\n")
            assert (await http.get("/healthz")).status_code == 200  # it lives, whatever it misses
            assert (await http.get("/api/me")).status_code == 404


async def test_an_answer_is_repeated_for_a_moment_and_asked_for_once() -> None:
    now_ms, asked = 0.0, 0

    async def ready() -> list[str]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return [f"answer {asked}"]

    cached = monitoring.cached_readiness(Common(ready_cache_seconds=1), ready, lambda: now_ms)
    assert await asyncio.gather(*(cached() for _ in range(50))) == [["answer 1"]] * 50
    now_ms = 999.0
    assert await cached() == ["answer 1"]
    now_ms = 1_000.0
    assert await cached() == ["answer 2"]


async def test_what_does_not_answer_is_missing_until_it_does() -> None:
    """And is asked once: to give up a question may wait for the same server."""
    answers, asked = asyncio.Event(), 0

    async def ready() -> list[str]:
        nonlocal asked
        asked += 1
        while not answers.is_set():
            with suppress(asyncio.CancelledError):
                await answers.wait()
        return ["an answer"]

    cached = monitoring.cached_readiness(Common(ready_seconds=0.05, ready_cache_seconds=0), ready)
    for _ in range(3):
        (sentence,) = await cached()
        assert "did not answer within 0.05 s" in sentence
    assert asked == 1
    answers.set()
    assert await cached() == ["an answer"]


async def test_a_taken_port_ends_the_process_with_a_sentence(tmp_path: Path) -> None:
    async def ready() -> list[str]:
        return []

    async with monitoring.serve(Common(home=tmp_path), ready) as port:
        taken = Common(home=tmp_path, metrics_listen=f"127.0.0.1:{port}")
        with pytest.raises(SystemExit, match=rf"127\.0\.0\.1:{port} \(HUM_METRICS_LISTEN\)"):
            async with monitoring.serve(taken, ready):
                pass


def test_sockets_are_counted_up_from_a_port_but_not_from_none() -> None:
    assert str(SocketAddress("127.0.0.1", 9400).plus(2)) == "127.0.0.1:9402"
    assert str(SocketAddress("127.0.0.1", 0).plus(2)) == "127.0.0.1:0"
