"""schemathesis against the running service: what the OpenAPI document promises, for a bounded number of requests."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import Edge

# A request that the schema allows may still be refused for what a schema can't say: the wrong kind of flow, a number that
# the carrier doesn't hold, a state.
ALLOWED = '[checks.positive_data_acceptance]\nexpected-statuses = ["2xx", 400, 402, 401, 403, 404, 409]\n'
EXAMPLES = 25


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_service_keeps_its_documents_promises(edge: Edge, tmp_path: Path) -> None:
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(ALLOWED)
    client = await edge.client()
    command = [
        Path(sys.executable).parent / "st",
        *("--config-file", settings),
        *("run", f"{edge.url}/openapi.json", "--url", edge.url),
        *("-H", f"Authorization: {client.headers['authorization']}"),
        *("--checks", "all", "-n", str(EXAMPLES), "--exclude-path-regex", "stream", "--no-color"),
    ]
    running = await asyncio.create_subprocess_exec(
        *(str(part) for part in command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path
    )
    said = (await running.communicate())[0].decode()
    assert running.returncode == 0, said[-6000:]
    assert "generated" in said, said[-2000:]
