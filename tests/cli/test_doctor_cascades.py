"""What `hum doctor` says of cascades."""

import re
from pathlib import Path

import aiohttp
import pytest

from cli.doctor import cascades
from hum.settings import UpSettings
from sandbox.openai import Model
from tests.hum.test_cascades import CLINIC


@pytest.mark.parametrize(
    ("key", "shape", "told"),
    [
        (
            "sk-right",
            "{url}",
            r"clinic: ears \S+ at \S+: \d+ ms for “.*”|clinic: (mind|mouth) \S+ at \S+: \d+ ms for “.+”",
        ),
        ("sk-wrong", "{url}", r"clinic: \w+ \S+ at \S+ refuses the key"),
        ("", "{url}", "EARS_KEY is not set, and a stage has it as its key"),
        ("sk-right", "http://127.0.0.1:9/v1", r"clinic: \w+ \S+ at 127\.0\.0\.1:9/v1: it can't be reached: \w+"),
    ],
)
async def test_keys_and_servers_of_cascades_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, shape: str, told: str
) -> None:
    async with Model.serve(api_key="sk-right") as model, aiohttp.ClientSession() as http:
        url = shape.format(url=model.url)
        text = CLINIC.replace('model = "qwen"', 'model = "qwen"\nkey = "EARS_KEY"')
        text = text.replace('model = "kokoro"', 'model = "kokoro"\nkey = "EARS_KEY"').replace("MIND_KEY", "EARS_KEY")
        text = text.replace('"heart"', '"alloy"')
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
        findings = await cascades.check(http, config)
    assert [finding.what for finding in findings if not re.fullmatch(told, finding.what)] == []
    assert {bool(finding.fix) for finding in findings} == {key != "sk-right" or shape != "{url}"}
    assert len(findings) == (4 if key else 1)


async def test_the_key_of_the_stand_in_for_the_model_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    stages = (
        f'[[cascades.practice.{stage}]]\nurl = "{{url}}"\nmodel = "{stage}"\nkey = "OPENAI_API_KEY"\nvoice = "alloy"\n'
        for stage in ("ears", "mind", "mouth")
    )
    text = "".join(stages).replace('voice = "alloy"\n', "", 2)
    async with Model.serve(api_key="sk-stand-in") as model, aiohttp.ClientSession() as http:
        (tmp_path / "c.toml").write_text(text.replace("{url}", model.url))
        config = UpSettings(home=tmp_path, cascades_file=tmp_path / "c.toml", openai_api_key="sk-stand-in")
        findings = await cascades.check(http, config)
    assert [finding.fix for finding in findings] == [""] * 3, findings


async def test_a_file_that_cant_be_used_is_told(tmp_path: Path) -> None:
    config = UpSettings(home=tmp_path, cascades_file=tmp_path / "none.toml")
    async with aiohttp.ClientSession() as http:
        (finding,) = await cascades.check(http, config)
    assert "none.toml" in finding.what and finding.fix
