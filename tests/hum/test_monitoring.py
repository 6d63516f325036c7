"""The operator's socket, asked as a scraper and a load balancer would."""

from pathlib import Path

import httpx
import pytest

from hum import monitoring
from hum.settings import Common, Listen


async def test_readiness_says_what_is_missing_and_metrics_are_prometheus(tmp_path: Path) -> None:
    missing: list[str] = []

    async def ready() -> list[str]:
        return missing

    async with monitoring.serving(Common(home=tmp_path), ready) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            page = await http.get("/metrics")
            assert page.headers["content-type"].startswith("text/plain") and "python_info" in page.text
            assert (await http.get("/readyz")).text == "ready\n"
            missing[:] = ["the database is away", "it drains"]
            answer = await http.get("/readyz")
            assert (answer.status_code, answer.text) == (503, "the database is away\nit drains\n")
            assert (await http.get("/healthz")).status_code == 200  # it lives, whatever it misses
            assert (await http.get("/api/me")).status_code == 404


async def test_a_taken_port_ends_the_process_with_a_sentence(tmp_path: Path) -> None:
    async def ready() -> list[str]:
        return []

    async with monitoring.serving(Common(home=tmp_path), ready) as port:
        taken = Common(home=tmp_path, metrics_listen=f"127.0.0.1:{port}")
        with pytest.raises(SystemExit, match=rf"127\.0\.0\.1:{port} \(HUM_METRICS_LISTEN\)"):
            async with monitoring.serving(taken, ready):
                pass


def test_sockets_are_counted_up_from_a_port_but_not_from_none() -> None:
    assert str(Listen("127.0.0.1", 9400).plus(2)) == "127.0.0.1:9402"
    assert str(Listen("127.0.0.1", 0).plus(2)) == "127.0.0.1:0"
