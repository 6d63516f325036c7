"""The cascades of `hum voice`: its file, its keys, and whether the servers of its stages answer."""

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from cli.doctor.facts import ProbeAnswer
from cli.doctor.finding import Finding
from cli.doctor.probes import Web
from hum import cascadefile
from hum.cascades import BadCascades, Cascades, StageEndpoint
from hum.network import redacted_url
from hum.settings import UpSettings, secret

REFUSING = frozenset({401, 403})


async def check(web: Web, config: UpSettings) -> list[Finding]:
    """Ask each server for its model: most can tell, and each must answer."""
    try:
        file = cascadefile.read(config.cascades_file)
    except (BadCascades, OSError) as error:
        return [Finding("cascades", f"{config.cascades_file}: {error}", "correct the file of HUM_CASCADES")]
    # Of each server and key, the first model.
    stages = {(stage.url, stage.key): stage for stage in reversed(stages_of(file))}
    keys = {key: secret(key, config.secrets_dir) for _, key in stages if key}
    answers = await asyncio.gather(*(_ask(web, stage, keys.get(stage.key, "")) for stage in stages.values()))
    return judge(file, keys, dict(zip(stages, answers, strict=True)))


def stages_of(file: Cascades) -> list[StageEndpoint]:
    """Return all stages of all cascades."""
    return [stage for cascade in file.values() for stage in (*cascade.ears, *cascade.mind, *cascade.mouth)]


def judge(file: Cascades, keys: Mapping[str, str], answers: Mapping[tuple[str, str], ProbeAnswer]) -> list[Finding]:
    """Judge the keys, and the servers' answers by their URL and their key's variable."""
    findings = [
        Finding("cascades", f"{key} is not set, and a stage has it as its key", f"set {key}")
        for key, value in keys.items()
        if not value
    ]
    for (url, key), answer in answers.items():
        shown = redacted_url(url)
        if answer.status in REFUSING and (not key or keys[key]):
            fix = f"correct {key}" if key else "name the variable of its key in HUM_CASCADES"
            findings.append(Finding("cascades", f"{shown} refuses the key", fix))
        elif not answer.status:
            findings.append(
                Finding("cascades", f"{shown} does not answer ({answer.fault})", "check that it runs, and its URL")
            )
    return findings or [Finding("cascades", f"{', '.join(file)}: all servers answer")]


async def _ask(web: Web, stage: StageEndpoint, key: str) -> ProbeAnswer:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return await web.ask("GET", f"{stage.url.rstrip('/')}/models/{quote(stage.model, safe='')}", headers=headers)
