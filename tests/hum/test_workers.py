"""A supervisor of workers says why they don't start, and keeps starting those that die."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from hum.clock import monotonic_ms
from hum.network import SocketAddress
from hum.process import programs
from hum.process.sockets import bind_socket
from hum.process.workers import WorkerSpec, supervise
from hum.settings import Common
from tests.support.waits import patience, until

#: Serves for a moment, each time.
DIES = "from hum.process.lifetime import Lifetime\nfrom hum.settings import Common, load\nimport asyncio, sys\n"
DIES += "async def main():\n    Lifetime(load(Common)).report_ready()\n    await asyncio.sleep(0.1)\n    sys.exit(7)\nasyncio.run(main())\n"


@pytest.mark.chaos
async def test_workers_that_do_not_start_are_an_error_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker_that_dies.py").write_text("raise SystemExit(7)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    shared = WorkerSpec("media", "worker_that_dies", "HUM_MEDIA_LISTEN", "127.0.0.1:0", drain_seconds=0.0)
    with structlog.testing.capture_logs() as logs:
        assert await supervise(Common(home=tmp_path), shared, 2) == 7
    errors = [each["error"] for each in logs if each["log_level"] == "error"]
    assert len(errors) == 1
    assert "exited at once" in errors[0]


@pytest.mark.chaos
async def test_workers_that_keep_dying_are_started_again_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker_that_dies.py").write_text(DIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(programs, "LONGEST_WAIT_SECONDS", 0.2)
    shared = WorkerSpec("media", "worker_that_dies", "HUM_MEDIA_LISTEN", "127.0.0.1:0", drain_seconds=0.0)
    with structlog.testing.capture_logs() as logs:
        supervising = asyncio.create_task(supervise(Common(home=tmp_path), shared, 2))
        await until(lambda: sum("keeps exiting" in each["event"] for each in logs) > 12)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await supervising == 0
    assert not list(tmp_path.glob("workers-*.json"))  # noqa: ASYNC240 - no disk is slow here


#: Takes two seconds to start, then accepts whatever comes.
SLOW = "import time\ntime.sleep(2)\nimport asyncio\nfrom hum.process.lifetime import Lifetime\nfrom hum.settings import Common, environment, load\n"
SLOW += "from hum.process.sockets import listening_socket\nasync def main():\n    lifetime = Lifetime(load(Common))\n"
SLOW += "    made = listening_socket(environment()['HUM_MEDIA_LISTEN'], 'HUM_MEDIA_LISTEN')\n"
SLOW += "    async with await asyncio.start_server(lambda _, writer: writer.close(), sock=made):\n"
SLOW += "        lifetime.report_ready()\n        await lifetime.wait_for_shutdown()\nasyncio.run(main())\n"


@pytest.mark.chaos
async def test_nobody_waits_in_the_queue_of_workers_that_are_still_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a successor takes half of the calls before it can answer them."""
    (tmp_path / "worker_that_is_slow.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with bind_socket(SocketAddress("127.0.0.1", 0), shared=True) as opened:
        address = opened.getsockname()
        shared = WorkerSpec(
            "media", "worker_that_is_slow", "HUM_MEDIA_LISTEN", f"fd:{os.dup(opened.fileno())}", drain_seconds=0.0
        )
        supervising = asyncio.create_task(supervise(Common(home=tmp_path), shared, 2))
        waited_ms: list[float] = []
        async with patience():
            while not waited_ms:
                await asyncio.sleep(0.02)
                with suppress(ConnectionRefusedError):
                    reader, writer = await asyncio.open_connection(*address)
                    connected_ms = monotonic_ms()
                    assert await reader.read() == b""
                    waited_ms.append(monotonic_ms() - connected_ms)
                    writer.close()
        assert waited_ms[0] < 1_000
        os.kill(os.getpid(), signal.SIGTERM)
        assert await supervising == 0
