"""schemathesis against the running service: what the OpenAPI document promises, for a bounded number of requests."""

import asyncio
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from control.numbers import feature as numbers
from tests.contract.conftest import PUBLIC, Edge
from tests.contract.test_authorization import belongings
from tests.contract.test_browser_calls import linked

EXAMPLES = 25
#: The operations that take an id, by kind of resource: they get ids that exist and ids that don't.
OPERATIONS = {
    "knowledge": "^/api/knowledge/{id}",
    "flows": "^/api/flows/{id}",
    "numbers": "^/api/numbers/{id}",
    "contacts": "^/api/contacts/{id}",
    "imports": "^/api/contacts/imports/{id}",
    "voicemails": "^/api/voicemails/{id}",
    "calls": "^/api/calls/{id}",
}
#: Its calls from browsers are never over, and its media process says nothing more than its answers.
LASTING = {"max_calls_per_caller": 10_000, "max_calls_per_organization": 10_000, "link_silent_seconds": 3600.0}
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(900)]


@pytest.fixture
def limits(limits: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    monkeypatch.setattr(numbers, "CARRIER_BUDGET", replace(numbers.CARRIER_BUDGET, burst=1_000_000))
    return limits | LASTING


def settings(owned: dict[str, str]) -> str:
    """A request that the schema allows may still be refused for what a schema can't express: the wrong kind of flow, a
    number that the carrier account doesn't hold, a state.
    """
    parts = [
        f'hooks = "{Path(__file__).with_name("schemathesis_formats.py")}"',
        "[checks.positive_data_acceptance]",
        'expected-statuses = ["2xx", 400, 401, 402, 403, 404, 409]',
        "[checks.negative_data_rejection]",  # 413: a text that is too long may make the whole body so
        'expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]',
        # Following a link replaces fields of the generated body, so one meant to be invalid may be valid by then.
        "[phases.stateful.generation]",
        'mode = "positive"',
    ]
    for noun, path in OPERATIONS.items():
        values = json.dumps([owned[noun], owned[noun].lower(), "x"])
        parts += [
            "[[operations]]",
            f"include-path-regex = {json.dumps(path)}",
            f'parameters = {{ "path.id" = {values} }}',
        ]
    parts += [
        "[[operations]]",
        'include-path-regex = "^/api/calls/{call_id}"',
        f'parameters = {{ "path.call_id" = {json.dumps([owned["calls"], "x"])} }}',
    ]
    return "\n".join(parts)


async def fuzz(edge: Edge, folder: Path, config: str, *options: str) -> str:
    """Run it; return its output."""
    (folder / "schemathesis.toml").write_text(config)
    command = [
        Path(sys.executable).parent / "st",
        *("--config-file", folder / "schemathesis.toml"),
        *("run", f"{edge.url}/openapi.json", "--url", edge.url, "--no-color"),
        *("--checks", "all", "-n", str(EXAMPLES), "--exclude-path-regex", "stream", *options),
    ]
    running = await asyncio.create_subprocess_exec(
        *(str(part) for part in command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder
    )
    said = (await running.communicate())[0].decode()
    summary = said[said.rfind("= SUMMARY =") :]
    print(summary)  # noqa: T201 - `pytest -s` shows what was tried
    assert running.returncode == 0, re.sub(r"0{200,}", "0...", said[said.find("= FAILURES =") :])[:12_000]
    assert "generated" in summary, summary
    return said


async def test_with_a_key_the_service_keeps_its_documents_promises(edge: Edge, tmp_path: Path) -> None:
    owned = await belongings(edge)
    authorization = f"Authorization: Bearer {owned['secret']}"
    # Not its own key: what is left would all be 401.
    # The key that it uses, and what asks a model, of which there is none here.
    left_out = ("revokeApiKey", "proposeFlow", "previewVoice", "tryFlow")
    excluded = [part for each in left_out for part in ("--exclude-operation-id", each)]
    async with linked(edge):  # calls from browsers are answered by a media process
        await fuzz(edge, tmp_path, settings(owned), "-H", authorization, *excluded)


async def test_with_a_session_too(edge: Edge, tmp_path: Path) -> None:
    owned, browser = await belongings(edge), await edge.signed_in("ada@example.com")
    await browser.post("/api/organizations", {"name": "Clinic"})
    session = f'[auth.openapi.session]\napi_key = "{browser.cookies["__Host-hum_session"]}"\n'
    await fuzz(
        edge,
        tmp_path,
        f"{settings(owned)}\n{session}",
        *("-H", f"Origin: {PUBLIC}"),
        *("--include-tag", "identity", "--include-tag", "team", "--include-tag", "audit"),
        *("--exclude-operation-id", "revokeMySessions"),
    )
