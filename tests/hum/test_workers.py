"""Whoever supervises workers says why they can't be kept running."""

from pathlib import Path

import pytest
import structlog

from hum.settings import Common
from hum.workers import Shared, supervise

#: Serves for a moment, each time.
DIES = "from hum.lifetime import Lifetime\nfrom hum.settings import Common, load\nimport asyncio, sys\n"
DIES += "async def main():\n    Lifetime(load(Common)).ready()\n    await asyncio.sleep(0.1)\n    sys.exit(7)\nasyncio.run(main())\n"


@pytest.mark.parametrize(("code", "sentence"), [("raise SystemExit(7)", "exited at once"), (DIES, "keeps exiting")])
async def test_workers_that_die_are_an_error_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    (tmp_path / "worker_that_dies.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    shared = Shared("media", "worker_that_dies", "HUM_MEDIA_LISTEN", "127.0.0.1:0", drain_seconds=0.0)
    with structlog.testing.capture_logs() as logs:
        assert await supervise(Common(home=tmp_path), shared, 2) == 7
    errors = [each["error"] for each in logs if each["log_level"] == "error"]
    assert len(errors) == 1
    assert sentence in errors[0]
