"""The cascades of `hum voice`: its file, its keys, and a sentence that is spoken, heard and answered by each of its servers."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import aiohttp

from cli.doctor.finding import Finding
from hum import cascadefile
from hum.cascades import BadCascades, Cascade, Cascades, StageEndpoint
from hum.network import redacted_url
from hum.settings import UpSettings, VoiceSettings, secret
from voice import trials
from voice.stages import StageClient, StageRequests
from voice.trials import StageTrial

#: How servers refuse a key.
REFUSING = ("it answered 401", "it answered 403")


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """What a server of a cascade did with the sentence."""

    cascade: str
    stage: StageEndpoint
    trial: StageTrial


async def check(http: aiohttp.ClientSession, config: UpSettings) -> list[Finding]:
    """Let each server do its part once."""
    try:
        file = cascadefile.read(config.cascades_file)
    except (BadCascades, OSError) as error:
        return [Finding("cascades", f"{config.cascades_file}: {error}", "correct the file of HUM_CASCADES")]
    variables = sorted(set(chain.from_iterable(cascade.variables for cascade in file.values())))
    keys = {variable: secret(variable, config.secrets_dir) for variable in variables}
    if "OPENAI_API_KEY" in keys:
        # `hum up` gives its stand-in's key to the planes, and this one finds it with the stand-in's address.
        keys["OPENAI_API_KEY"] = config.openai_api_key
    requests = StageClient(http, keys, VoiceSettings(home=config.home))
    answers = await asyncio.gather(*(_try(name, cascade, requests) for name, cascade in file.items()))
    return judge(file, keys, list(chain.from_iterable(answers)))


async def _try(name: str, cascade: Cascade, requests: StageRequests) -> list[StageAnswer]:
    """Let the mouths speak, the ears hear what the first of them spoke, and the minds answer."""
    minds = [asyncio.create_task(trials.of_mind(stage, requests)) for stage in cascade.mind]
    mouths = await asyncio.gather(*(trials.of_mouth(stage, requests) for stage in cascade.mouth))
    sound = next((trial.sound for trial in mouths if trial.sound), trials.SECOND_OF_SILENCE)
    ears = await asyncio.gather(*(trials.of_ears(stage, requests, sound) for stage in cascade.ears))
    stages, tried = (*cascade.ears, *cascade.mind, *cascade.mouth), (*ears, *await asyncio.gather(*minds), *mouths)
    return [StageAnswer(name, stage, trial) for stage, trial in zip(stages, tried, strict=True)]


def judge(file: Cascades, keys: Mapping[str, str], answers: Sequence[StageAnswer]) -> list[Finding]:
    """Judge the keys, and what the servers did."""
    findings = [
        Finding("cascades", f"{key} is not set, and a stage has it as its key", f"set {key}")
        for key, value in keys.items()
        if not value
    ]
    spoken = {answer.cascade for answer in answers if answer.trial.sound}
    unset = {key for key, value in keys.items() if not value}
    findings += [_finding(answer, spoken) for answer in answers if answer.stage.key not in unset]
    return findings or [Finding("cascades", f"{', '.join(file)}: nothing to ask")]


def _finding(answer: StageAnswer, spoken: set[str]) -> Finding:
    stage, trial = answer.stage, answer.trial
    who = f"{answer.cascade}: {trial.stage} {stage.model} at {redacted_url(stage.url)}"
    if trial.error.startswith(REFUSING):
        fix = f"correct {stage.key}" if stage.key else "name the variable of its key in HUM_CASCADES"
        return Finding("cascades", f"{who} refuses the key", fix)
    if trial.error:
        return Finding("cascades", f"{who}: {trial.error}", "check that it runs, its URL and its model")
    if trial.stage == "ears" and answer.cascade in spoken and not trial.words:
        return Finding("cascades", f"{who} understands nothing of a spoken sentence", "try another model")
    return Finding("cascades", f"{who}: {' '.join(_told(trial))}")


def _told(trial: StageTrial) -> Iterator[str]:
    yield f"{trial.took_ms} ms"
    if trial.words:
        yield f"for “{trial.words[:60]}”"
    elif trial.sound:
        yield f"for “{trials.SENTENCE}”"
