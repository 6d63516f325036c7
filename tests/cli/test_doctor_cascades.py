"""What `hum doctor` says of cascades."""

from pathlib import Path

import aiohttp
import pytest

from cli.doctor import cascades
from cli.doctor.probes import Web
from hum.settings import UpSettings
from sandbox.openai import Model
from tests.hum.test_cascades import CLINIC


@pytest.mark.parametrize(
    ("key", "shape", "begin"),
    [
        ("sk-right", "{url}", "clinic: all servers answer"),
        ("sk-wrong", "{url}", "127.0.0.1"),
        ("", "{url}", "EARS_KEY is not set"),
        ("sk-right", "http://127.0.0.1:9/v1", "127.0.0.1:9/v1 does not answer"),
    ],
)
async def test_keys_and_servers_of_cascades_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, shape: str, begin: str
) -> None:
    async with Model.serve(api_key="sk-right") as model, aiohttp.ClientSession() as http:
        url = shape.format(url=model.url)
        text = CLINIC.replace('model = "qwen"', 'model = "qwen"\nkey = "EARS_KEY"')
        text = text.replace('model = "kokoro"', 'model = "kokoro"\nkey = "EARS_KEY"').replace("MIND_KEY", "EARS_KEY")
        for server in (
            "https://ears.example/v1/",
            "http://10.0.0.5:8000/v1",
            "https://mind.example/v1",
            "http://10.0.0.5:8880/v1",
        ):
            text = text.replace(server, url)
        (tmp_path / "c.toml").write_text(text)
        monkeypatch.setenv("EARS_KEY", key)
        config = UpSettings(home=tmp_path, cascades_file=tmp_path / "c.toml")
        findings = await cascades.check(Web(http, 5.0), config)
    assert findings[0].what.startswith(begin)
    assert bool(findings[0].fix) == (key != "sk-right" or "{url}" != shape)


async def test_a_file_that_cant_be_used_is_told(tmp_path: Path) -> None:
    config = UpSettings(home=tmp_path, cascades_file=tmp_path / "none.toml")
    async with aiohttp.ClientSession() as http:
        (finding,) = await cascades.check(Web(http, 5.0), config)
    assert "none.toml" in finding.what and finding.fix
