"""`hum doctor`: a check of everything that a deployment needs; a finding says that it is well, or how to fix it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import aiohttp

from cli.doctor import billing, bus, cascades, probes, rules
from cli.doctor.facts import DatabaseFacts, NumberWebhooks, ProbeAnswer
from cli.doctor.finding import Finding, verdict
from cli.doctor.probes import Web
from hum import settings as environment
from hum.process import descriptors, home
from hum.settings import UpSettings

Check = Callable[[], Awaitable[list[Finding]]]
#: The time limit of a check, in requests one after the other.
MAX_SEQUENTIAL = 3


async def run(*, as_json: bool = False) -> int:
    """Print a finding for each thing; return 0 if all are well, else 1."""
    config, sentences = environment.read(UpSettings)
    findings = rules.settings(sentences, config)
    _show(findings, as_json=as_json)
    if config is not None:
        findings += await _run_checks(config, as_json=as_json)
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) | {"ok": finding.is_ok} for finding in findings]) + "\n")
    else:
        sys.stdout.write(verdict(findings) + "\n")
    return 0 if all(finding.is_ok for finding in findings) else 1


async def _run_checks(config: UpSettings, *, as_json: bool) -> list[Finding]:
    """Run all checks concurrently, and print their findings in order."""
    run = home.read_run(config.home)
    seconds = config.doctor_seconds
    async with aiohttp.ClientSession(trust_env=False) as http:
        doctor = Doctor(
            running_config(config, run, home.read_facts(config.home, "sandbox.keys") if run else {}), Web(http, seconds)
        )
        checks = doctor.checks(is_up=bool(run) or config.production or config.is_set("HUM_CONTROL_ADDRESS"))
        tasks = [asyncio.create_task(_bounded(name, check, seconds)) for name, check in checks.items()]
        findings: list[Finding] = []
        for task in tasks:
            findings += await task
            _show(await task, as_json=as_json)
        last = [rules.clocks(doctor.skews())]
        _show(last, as_json=as_json)
    return findings + last


async def _bounded(name: str, check: Check, seconds: float) -> list[Finding]:
    try:
        async with asyncio.timeout(MAX_SEQUENTIAL * seconds):
            return await check()
    except TimeoutError:
        fix = "see why it is so slow"
        return [Finding(name, f"nothing was found out within {MAX_SEQUENTIAL * seconds:g} s", fix)]


def _show(findings: list[Finding], *, as_json: bool) -> None:
    if not as_json:
        sys.stdout.writelines(f"{finding.line()}\n" for finding in findings)
        sys.stdout.flush()


def running_config(config: UpSettings, run: Mapping[str, Any], stand_ins: Mapping[str, Any]) -> UpSettings:
    """Return the settings of this machine's planes: those of the operator, with the defaults that `hum up` has chosen."""
    names = {
        "database_url": "database_url",
        "public_url": "public_url",
        "media_url": "media_url",
        "control_address": "control_address",
        "carrier_url": "twilio_api_base_url",
        "twilio_account_sid": "twilio_account_sid",
        "twilio_auth_token": "twilio_auth_token",
        "model_url": "openai_base_url",
        "signin_url": "oidc_issuer",
    }
    chosen = {field: run[name] for name, field in names.items() if name in run}
    if "model_url" in run:
        chosen["openai_api_key"] = stand_ins.get("OPENAI_API_KEY", "")
    return config.model_copy(update=chosen)


class Doctor:
    """One run of all checks, with the facts that later checks need: other systems' clocks, and the database's numbers."""

    def __init__(self, config: UpSettings, web: Web) -> None:
        self._config, self._web = config, web
        self._answers: dict[str, list[ProbeAnswer]] = {}
        self._database: asyncio.Future[DatabaseFacts | None] = asyncio.get_running_loop().create_future()

    def checks(self, *, is_up: bool) -> dict[str, Check]:
        """Return the checks by name, in their order; without a running platform, only those that need none."""
        config = self._config
        checks: dict[str, Check] = {"keys": self._keys, "home": self._home}
        if config.bucket is not None:
            checks["recordings"] = self._recordings
        if not is_up:
            checks["platform"] = self._platform
        if config.database_url:
            checks["database"] = self._check_database
        else:
            self._database.set_result(None)
        if config.bus_url:
            checks["bus"] = self._bus
        if is_up:
            checks |= {"control": self._control, "TLS": self._certificate, "media": self._media}
        checks |= self._outside_checks(is_up=is_up)
        if is_up:
            checks |= {"calls": self._calls, "public URL": self._public_url, "media URL": self._media_url}
        return checks | {"core": self._engine, "open files": self._open_files}

    def _outside_checks(self, *, is_up: bool) -> dict[str, Check]:
        """Return the checks of systems outside."""
        config, checks = self._config, dict[str, Check]()
        if is_up or config.twilio_account_sid:
            checks["carrier"] = self._carrier
        if is_up or config.openai_api_key:
            checks["model"] = self._model
        if config.cascades_file is not None:
            checks["cascades"] = self._cascades
        if is_up or config.oidc_issuer:
            checks["sign-in"] = self._sign_in
        if config.stripe_api_key or config.stripe_webhook_secret:
            checks["billing"] = self._billing
        if config.smtp_url:
            checks["e-mail"] = self._email
        return checks

    def skews(self) -> dict[str, float]:
        return probes.skews(self._answers)

    # -- this machine

    async def _keys(self) -> list[Finding]:
        return rules.keys(self._config, probes.key_files(self._config.home))

    async def _home(self) -> list[Finding]:
        return [rules.home(self._config, *probes.home_fault(self._config.home))]

    async def _recordings(self) -> list[Finding]:
        waiting, fault = (
            probes.waiting_recordings(self._config),
            await probes.store_fault(self._config, self._web.seconds),
        )
        return [rules.recordings(self._config, waiting, fault)]

    async def _platform(self) -> list[Finding]:
        return [Finding("platform", f"nothing runs in {self._config.home}", "start it with `hum up`, then ask again")]

    async def _engine(self) -> list[Finding]:
        return rules.engine(await probes.engine(self._web.seconds), self._config)

    async def _open_files(self) -> list[Finding]:
        return [rules.open_files(self._config, descriptors.raise_limit())]

    # -- the platform

    async def _check_database(self) -> list[Finding]:
        facts: DatabaseFacts | None = None
        try:
            facts = await probes.database(self._config, self._web.seconds)
        # Also without facts: the checks that wait for them must not wait for ever.
        finally:
            self._database.set_result(None if facts is None or facts.fault else facts)
        if not facts.fault:
            self._answers["database"] = [ProbeAnswer(0, skew_seconds=facts.skew_seconds)]
        return rules.database(facts, self._config)

    async def _bus(self) -> list[Finding]:
        return bus.judge(await probes.bus(self._config, self._web.seconds))

    async def _control(self) -> list[Finding]:
        return [rules.control(await probes.control(self._config, self._web.seconds), self._config)]

    async def _certificate(self) -> list[Finding]:
        return [rules.certificate(probes.certificate(self._config), self._config)]

    async def _public_url(self) -> list[Finding]:
        return [rules.public_url(self._config, *await probes.webhook(self._web, self._config))]

    async def _media_url(self) -> list[Finding]:
        return [rules.media_url(self._config, await probes.stream(self._web, self._config))]

    # -- outside

    async def _carrier(self) -> list[Finding]:
        config = self._config
        answer, lines = ProbeAnswer(0), list[NumberWebhooks]()
        if config.twilio_account_sid and config.twilio_auth_tokens:
            answer, lines = await probes.carrier_numbers(self._web, config)
        self._answers["carrier"] = [answer]
        if (finding := rules.carrier(config, answer)) is not None:
            return [finding]
        database = await self._database
        account = Finding("carrier", f"account {config.twilio_account_sid} answers")
        numbers = rules.numbers(config, lines, None if database is None else database.numbers)
        is_linked = database is not None and database.media is not None
        return [account, *numbers, *([rules.agents(database)] if database and is_linked else [])]

    async def _media(self) -> list[Finding]:
        database = await self._database
        return [] if database is None or database.media is None else [rules.media(database.media, self._config)]

    async def _calls(self) -> list[Finding]:
        database = await self._database
        return [] if database is None or database.media is None else [rules.last_call(database.last_call)]

    async def _model(self) -> list[Finding]:
        answers = await probes.models(self._web, self._config, rules.models(self._config))
        self._answers["model"] = list(answers.values())
        return rules.model(self._config, answers)

    async def _cascades(self) -> list[Finding]:
        return await cascades.check(self._web.http, self._config)

    async def _billing(self) -> list[Finding]:
        return billing.judge(self._config, await probes.stripe(self._web, self._config))

    async def _sign_in(self) -> list[Finding]:
        answer = await probes.issuer(self._web, self._config)
        if answer is not None:
            self._answers["sign-in provider"] = [answer]
        return [rules.sign_in(self._config, answer)]

    async def _email(self) -> list[Finding]:
        return [rules.email(self._config, await probes.smtp_fault(self._config, self._web.seconds))]
