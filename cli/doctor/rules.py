"""The rules of `hum doctor`: each check is a function from facts to a finding.  Pure, without secrets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from cli.doctor.facts import CertificateFacts, DatabaseFacts, EngineFacts, NumberWebhooks, ProbeAnswer, RecordingBacklog
from cli.doctor.finding import Finding
from hum.network import redacted_url
from hum.process import descriptors, production
from hum.settings import UpSettings

OLDEST_POSTGRES = 15
#: Between machines; node identities tolerate `rpc.NODE_CLOCKS_SECONDS`.
MOST_SKEW_SECONDS = 5.0
#: Connections of one control besides its pools: migrations, LISTEN, an operator's psql.
OTHER_CONNECTIONS = 10
#: Settings that, when off, lose or corrupt committed data, or let tables grow without bound.
MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")
UNAUTHORIZED, NOT_FOUND, TOO_MANY = 401, 404, 429
FORBIDDEN, NO_CONTENT, OK = 403, 204, 200
SWITCHING, UNAVAILABLE = 101, 503
MOST_NAMED = 5
#: A recording is in the bucket a few seconds after its call.
MOST_WAITING_SECONDS = 600
#: An expired certificate stops all calls.
SOON_DAYS = 14
#: How to fix the failure of the latest call, by its reason.
FAULTS = {
    "no_stream": "its media stream never came: let the proxy pass WebSockets at HUM_MEDIA_URL",
    "stream_lost": "its media stream broke off: see the log of the media process, and the proxy's time limits",
    "no_capacity": "start more media processes, or raise HUM_MAX_CALLS",
    "no_flow": "give the number a flow",
    "control_away": "control was away: see its log",
    "model_lost": "see the media process's log for what the model said",
    "model_refused": "correct OPENAI_API_KEY, or the flow's model",
    "carrier_protocol": "see the media process's log for what came: a proxy may change the stream",
}


def settings(sentences: Sequence[str], config: UpSettings | None) -> list[Finding]:
    """Judge the settings.  `sentences` are the errors in reading them."""
    if config is None:
        return [Finding("settings", "can't be read", sentence) for sentence in sentences]
    problems = [*sentences, *production.problems(config)]
    if config.oidc_issuer and not config.oidc_client_id:
        problems.append("HUM_OIDC_ISSUER is set but HUM_OIDC_CLIENT_ID is not; set both")
    if config.carrier_connections >= config.max_connections:
        problems.append("carrier_connections must be less than max_connections, which includes them")
    if (config.tls_cert is None) != (config.tls_key is None):
        problems.append("HUM_TLS_CERT and HUM_TLS_KEY belong together; set both")
    return [Finding("settings", "not acceptable", sentence) for sentence in problems] or [
        Finding("settings", f"{config.env}, HUM_HOME {config.home}")
    ]


def keys(config: UpSettings, files: Mapping[str, int | None]) -> list[Finding]:
    """Judge the keys.

    `files` has the modes of generated key files below HUM_HOME, by name; None if there is no such file.
    """
    if config.production:
        return [Finding("keys", "HUM_NODE_KEY and HUM_SECRET_KEYS are set")]  # checked by `settings`
    readable_by_others = [name for name, mode in files.items() if mode is not None and mode & 0o077]
    if readable_by_others:
        paths = " ".join(str(config.home / name) for name in readable_by_others)
        return [Finding("keys", "others can read them", f"chmod 600 {paths}")]
    existing = [name for name, mode in files.items() if mode is not None]
    return [Finding("keys", f"in {config.home}: {', '.join(existing)}" if existing else "made when HUM first starts")]


def home(config: UpSettings, fault: str, free_bytes: int) -> Finding:
    """Judge HUM_HOME.  `fault` is the reason if it is not writable."""
    if fault:
        return Finding("home", f"{config.home} can't be written ({fault})", "give it to the user who runs HUM")
    if free_bytes < config.min_free_bytes:
        state = f"{free_bytes >> 20} MiB are free at {config.home}, and calls need {config.min_free_bytes >> 20}"
        return Finding("home", state, "make room on its disk")
    return Finding("home", f"{config.home} can be written, {free_bytes >> 20} MiB are free")


def recordings(config: UpSettings, waiting: RecordingBacklog, fault: str) -> Finding:
    """Judge the bucket.  `fault` is the reason if it does not store, return and delete an object."""
    backlog = f"{waiting.files} files of {waiting.size_bytes >> 20} MiB wait on this machine"
    if fault:
        fix = f"check HUM_RECORDINGS_URL and the HUM_S3_* settings, and what the bucket allows; {backlog}"
        return Finding("recordings", f"{config.recordings_url} can't be used ({fault})", fix)
    if waiting.oldest_seconds > MOST_WAITING_SECONDS:
        state = f"{backlog}, the oldest for {waiting.oldest_seconds / 60:.0f} minutes"
        return Finding("recordings", state, "see that media runs here, and what it logs of recordings")
    return Finding("recordings", f"{config.recordings_url} takes, gives and deletes an object; {backlog}")


def database(facts: DatabaseFacts, config: UpSettings) -> list[Finding]:
    url = redacted_url(config.database_url)
    if facts.fault:
        return [Finding("database", facts.fault, "start it, or correct HUM_DATABASE_URL")]
    version = f"PostgreSQL {facts.version // 10_000}.{facts.version % 10_000} at {url}"
    findings = [
        *_database_version(facts, version),
        *(
            Finding("database", f"the login lacks the role {role}", "run what `hum migrate --print-roles` prints")
            for role in facts.missing_roles
        ),
        *(
            Finding("database", f"the server has no extension {name}", "install PostgreSQL's contrib modules")
            for name in facts.missing_extensions
        ),
        *_database_settings(facts, config),
    ]
    return findings or [Finding("database", f"{version}, up to date")]


def _database_version(facts: DatabaseFacts, version: str) -> list[Finding]:
    findings = []
    if facts.version // 10_000 < OLDEST_POSTGRES:
        findings.append(Finding("database", version, f"use PostgreSQL {OLDEST_POSTGRES} or later"))
    if facts.is_standby:
        findings.append(Finding("database", f"{version} is a standby", "point HUM_DATABASE_URL to the primary"))
    if facts.is_newer:
        findings.append(Finding("database", "its schema is of a later release", "run that release of HUM"))
    elif facts.unapplied:
        findings.append(Finding("database", f"{len(facts.unapplied)} migrations are not applied", "run `hum migrate`"))
    return findings


def _database_settings(facts: DatabaseFacts, config: UpSettings) -> list[Finding]:
    values = facts.settings or {}
    findings = []
    if facts.encoding != "UTF8":
        findings.append(Finding("database", f"its encoding is {facts.encoding}", "create it with ENCODING 'UTF8'"))
    findings += [
        Finding("database", f"{name} is off", f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();")
        for name in MUST_BE_ON
        if values.get(name) == "off"
    ]
    if values.get("default_transaction_read_only") == "on":
        fix = "ALTER DATABASE ... SET default_transaction_read_only = off"
        findings.append(Finding("database", "its transactions are read-only", fix))
    # Control and the worker, and while one is replaced, its successor.
    needed = 3 * (config.pool_size + config.calls_pool_size) + OTHER_CONNECTIONS
    if int(values.get("max_connections", needed)) < needed:
        state = f"it takes {values['max_connections']} connections, and HUM may open {needed}"
        fix = "raise max_connections, or lower HUM_DATABASE_POOL"
        findings.append(Finding("database", state, fix))
    return findings


def control(fault: str, config: UpSettings) -> Finding:
    """Judge control.  `fault` is the error code of an operator's request; empty if it was answered."""
    address = config.control_address
    if not fault:
        return Finding("control", f"answers at {address}, and takes our node key")
    if fault in {"PERMISSION_DENIED", "UNAUTHENTICATED"}:
        fix = "set HUM_NODE_KEY to the same on every plane, and synchronize the machines' clocks"
        return Finding("control", f"refuses our node key at {address}", fix)
    return Finding("control", f"does not answer at {address} ({fault})", "start it, or correct HUM_CONTROL_ADDRESS")


def carrier(config: UpSettings, answer: ProbeAnswer) -> Finding | None:
    """Return what is wrong with the account, or None.  `answer` is the carrier's list of numbers."""
    url = redacted_url(config.twilio_api_base_url)
    if not config.twilio_account_sid:
        fix = "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        return Finding("carrier", "no account is set", fix)
    if not config.twilio_auth_tokens:
        return Finding("carrier", "its webhooks can't be checked", "set TWILIO_AUTH_TOKEN, which signs them")
    if answer.status in {UNAUTHORIZED, FORBIDDEN}:
        names = "TWILIO_API_KEY and TWILIO_API_SECRET" if config.twilio_api_key else "TWILIO_AUTH_TOKEN"
        return Finding("carrier", f"{url} refuses account {config.twilio_account_sid}", f"correct {names}")
    if answer.status == NOT_FOUND:
        fix = "correct TWILIO_ACCOUNT_SID"
        return Finding("carrier", f"{url} knows no account {config.twilio_account_sid}", fix)
    if answer.status != OK:
        return _unanswered("carrier", url, answer, "TWILIO_API_BASE_URL")
    return None


def numbers(config: UpSettings, lines: Sequence[NumberWebhooks], ours: Sequence[str] | None) -> list[Finding]:
    """Judge the numbers.

    `lines` are the carrier's; `ours` those of organizations, None if the database did not answer.
    """
    line_by_number = {line.e164: line for line in lines}
    expected_urls = (f"{config.public_url}/twilio/voice", f"{config.public_url}/twilio/voice/status")
    expected = ours if ours is not None else [line.e164 for line in lines if "/twilio/voice" in line.voice_url]
    missing = [number for number in expected if number not in line_by_number]
    misdirected = [
        number
        for number in expected
        if number in line_by_number and _webhook_urls(line_by_number[number]) != expected_urls
    ]
    findings = []
    if missing:
        fix = "release them (DELETE /api/numbers/{id}), or set the account that holds them"
        findings.append(Finding("numbers", f"the account does not hold {_named(missing)}", fix))
    for number in misdirected[:MOST_NAMED]:
        voice, status = _webhook_urls(line_by_number[number])
        state = f"{number} sends calls to {voice or 'nowhere'}, their status to {status or 'nowhere'}"
        fix = f"set them to {expected_urls[0]} and {expected_urls[1]}: \"Sync\" on the console's page Numbers (POST /api/numbers/sync), or the carrier's console"
        findings.append(Finding("numbers", state, fix))
    if len(misdirected) > MOST_NAMED:
        findings.append(
            Finding("numbers", f"{len(misdirected) - MOST_NAMED} more point elsewhere", "set their URLs, too")
        )
    count = len([number for number in expected if number in line_by_number])
    return findings or [Finding("numbers", f"the account holds {len(lines)}; {count} of HUM's point here")]


def agents(facts: DatabaseFacts) -> Finding:
    """Judge whether an agent answers each number."""
    if facts.silent:
        fix = "give each a flow: PATCH /api/numbers/{id} {flow_id}"
        return Finding("agents", f"no agent answers {_named(facts.silent)}", fix)
    if not facts.numbers:
        return Finding(
            "agents", "no number yet: POST /api/numbers/buy, or POST /api/numbers for one that the account holds"
        )
    return Finding("agents", f"an agent answers each of {len(facts.numbers)} numbers")


def media(processes: Sequence[Mapping[str, Any]], config: UpSettings) -> Finding:
    """Judge the media processes that are linked to control, in the form of `DatabaseFacts.media`."""
    accepting = [process for process in processes if not process["refuses"]]
    if not processes:
        fix = "start `hum media`; its HUM_CONTROL_ADDRESS and HUM_NODE_KEY must be control's"
        return Finding("media", "no process is linked to control", fix)
    if not accepting:
        reasons = ", ".join(sorted({process["refuses"] for process in processes}))
        return Finding(
            "media", f"none of {len(processes)} processes takes calls ({reasons})", "see its /readyz and its log"
        )
    zones = Counter(process["zone"] for process in accepting)
    state = f"{len(accepting)} of {len(processes)} processes take calls"
    if any(zones):
        state += ": " + ", ".join(f"{count} in {zone or 'no zone'}" for zone, count in sorted(zones.items()))
    if len(releases := sorted({process["version"] for process in processes})) > 1:
        state += f"; releases {', '.join(process or 'unknown' for process in releases)}"
    if config.zone and not zones[config.zone]:
        fix = "start `hum media` there, or correct HUM_ZONE: calls of this zone go to others"
        return Finding("media", f"{state}; none in {config.zone}, which is ours", fix)
    return Finding("media", f"{state}; they have {sum(process['places'] for process in accepting)} places")


def last_call(call: Mapping[str, Any] | None) -> Finding:
    """Judge the latest call of all organizations."""
    if call is None:
        return Finding("calls", "none came yet: call one of the numbers, then ask again")
    outcome = f"{call['status'].replace('_', ' ')}{', ' if call['reason'] else ''}{call['reason']}"
    state = f"the latest began {_ago(call['seconds_ago'])} ago: {outcome}"
    return Finding("calls", state, FAULTS.get(call["reason"], "") if call["status"] == "failed" else "")


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def certificate(facts: CertificateFacts | None, config: UpSettings) -> Finding:
    """Judge the certificate that planes show each other (HUM_TLS_CERT); None if none is set."""
    host = config.control_address.rpartition(":")[0].strip("[]")
    if facts is None:
        if host in {"", "localhost"} or host.startswith("127.") or host == "::1":
            return Finding("TLS", "planes talk on this machine, without TLS")
        fix = "set HUM_TLS_CERT, HUM_TLS_KEY and HUM_TLS_CA on every plane"
        return Finding("TLS", f"planes talk to {host} without TLS", fix)
    if facts.fault:
        return Finding("TLS", facts.fault, "correct HUM_TLS_CERT, HUM_TLS_KEY and HUM_TLS_CA")
    if facts.days_left < 0:
        return Finding("TLS", f"the certificate expired {-facts.days_left:.0f} days ago", "renew HUM_TLS_CERT")
    if facts.days_left < SOON_DAYS:
        return Finding("TLS", f"the certificate expires in {facts.days_left:.0f} days", "renew HUM_TLS_CERT")
    return Finding("TLS", f"{', '.join(facts.names)}, for {facts.days_left:.0f} more days")


def _webhook_urls(line: NumberWebhooks) -> tuple[str, str]:
    """Return a number's URLs without connection overrides."""
    return line.voice_url.partition("#")[0], line.status_url.partition("#")[0]


def model(config: UpSettings, answers: Mapping[str, ProbeAnswer]) -> list[Finding]:
    """Judge the models.  `answers` has the API's answer about each model, by its variable."""
    url, names = redacted_url(config.openai_base_url), models(config)
    if not config.openai_api_key:
        return [Finding("model", "no key is set", "set OPENAI_API_KEY")]
    findings = []
    for variable, answer in answers.items():
        if answer.status in {UNAUTHORIZED, FORBIDDEN}:
            return [Finding("model", f"{url} refuses the key", "correct OPENAI_API_KEY")]
        if answer.status == NOT_FOUND:
            findings.append(Finding("model", f"{url} has no {names[variable]}", f"correct {variable}"))
        elif answer.status not in {OK, TOO_MANY}:
            return [_unanswered("model", url, answer, "OPENAI_BASE_URL")]
    return findings or [Finding("model", f"{url} has {', '.join(dict.fromkeys(names.values()))}")]


def models(config: UpSettings) -> dict[str, str]:
    """Return the models that HUM uses, by variable."""
    return {
        "HUM_REALTIME_MODELS": config.realtime_model,
        "HUM_TEXT_MODEL": config.text_model,
        "HUM_SPEECH_MODEL": config.speech_model,
        "HUM_TRANSCRIBE_MODEL": config.transcribe_model,
    }


def sign_in(config: UpSettings, answer: ProbeAnswer | None) -> Finding:
    """Judge the sign-in.  `answer` is the issuer's discovery document; None if no issuer is set."""
    if answer is None:
        return Finding("sign-in", "no issuer is set: API keys work, and people can't sign in")
    issuer = config.oidc_issuer
    if config.production and not issuer.startswith("https://"):
        return Finding("sign-in", f"the issuer is {issuer}", "set HUM_OIDC_ISSUER to an https URL")
    if answer.status != OK or not isinstance(answer.json, dict):
        return _unanswered("sign-in", issuer, answer, "HUM_OIDC_ISSUER")
    if (name := answer.json.get("issuer")) != issuer:
        return Finding("sign-in", f"{issuer} calls itself {str(name)[:200]}", "set HUM_OIDC_ISSUER to exactly that")
    return Finding("sign-in", f"{issuer} answers; it must know {config.public_url}/auth/callback")


def email(config: UpSettings, fault: str) -> Finding:
    """Judge the SMTP server.  `fault` is the reason if it can't be used; empty if it can."""
    if fault:
        fix = "check HUM_SMTP_URL, HUM_SMTP_USER and HUM_SMTP_PASSWORD"
        return Finding("e-mail", f"{config.smtp_url} can't be used: {fault}", fix)
    return Finding("e-mail", f"{config.smtp_url} answers; e-mails are from {config.smtp_from}")


def public_url(config: UpSettings, health: ProbeAnswer, signed: ProbeAnswer) -> Finding:
    """Judge the public URL by the answers to `/healthz` and to a signed webhook about no call."""
    url = config.public_url
    if health.status != OK or health.text.strip() != "ok":
        return _unanswered("public URL", url, health, "HUM_PUBLIC_URL, or the proxy")
    if signed.status == FORBIDDEN:
        fix = "let the proxy pass /twilio/* unchanged, path, query and body, and set HUM_PUBLIC_URL to what callers use"
        return Finding("public URL", f"{url} changes signed requests, or does not have our TWILIO_AUTH_TOKEN", fix)
    if signed.status != NO_CONTENT:
        return _unanswered("public URL", f"{url}/twilio/voice/status", signed, "the proxy")
    return Finding("public URL", f"{url} answers, and signed webhooks arrive unchanged")


def media_url(config: UpSettings, answer: ProbeAnswer) -> Finding:
    """Judge the media URL by the answer to a signed WebSocket upgrade, which was closed at once."""
    url = f"{config.media_url}/media/twilio"
    if answer.status == SWITCHING:
        return Finding("media URL", f"{url} answers, and signed upgrades arrive unchanged")
    if answer.status == FORBIDDEN:
        fix = "let the proxy pass /media/twilio unchanged, and set HUM_MEDIA_URL to what the carrier uses"
        return Finding("media URL", f"{url} changes signed requests, or does not have our TWILIO_AUTH_TOKEN", fix)
    if answer.status == UNAVAILABLE:
        return Finding("media URL", f"{url} takes no calls", "see its /readyz, which names what is missing")
    return _unanswered("media URL", url, answer, "HUM_MEDIA_URL, or the proxy, which must pass WebSockets")


def clocks(skews_seconds: Mapping[str, float]) -> Finding:
    """Judge the clocks.  `skews_seconds` is how far the clocks of other systems are ahead of ours."""
    if not skews_seconds:
        return Finding("clock", "no other system's was seen")
    name, most = max(skews_seconds.items(), key=lambda skew: abs(skew[1]))
    if abs(most) > MOST_SKEW_SECONDS:
        fix = "run an NTP client on both: signatures and node identities expire by the clock"
        return Finding("clock", f"{abs(most):.0f} s {'behind' if most > 0 else 'ahead of'} that of the {name}", fix)
    return Finding("clock", f"within {MOST_SKEW_SECONDS:g} s of {', '.join(skews_seconds)}")


def engine(facts: EngineFacts, config: UpSettings) -> list[Finding]:
    """Judge BLAS and the core of a media process."""
    if facts.fault:
        return [Finding("core", facts.fault, "install HUM anew: make")]
    blas = Finding("BLAS", facts.blas or "none")
    if facts.blas_threads > 1:
        blas = Finding("BLAS", facts.blas, "set OPENBLAS_NUM_THREADS=1: it takes the cores of calls")
    if facts.compiled:
        return [blas, Finding("core", "compiled")]
    if facts.interpreted:
        core = Finding("core", "interpreted", "unset HUM_MEDIA_INTERPRETED" if config.production else "")
    else:
        fix = "install gcc and python3-dev, and run `make core`: a call then costs a fifth less CPU"
        core = Finding("core", f"interpreted; {fix}") if not config.production else Finding("core", "interpreted", fix)
    return [blas, core]


def open_files(config: UpSettings, limit: int) -> Finding:
    """Judge the limit on open files of a process."""
    gateway = config.max_connections + descriptors.OF_A_GATEWAY
    media = config.max_calls * descriptors.PER_CALL + 2 * config.max_waiting + descriptors.SPARE
    needed = max(gateway, media)
    fix = f"raise the hard limit (ulimit -Hn {needed}, or LimitNOFILE={needed})" if needed > limit else ""
    if gateway <= limit < media:
        fix += ", or lower HUM_MAX_CALLS"
    return Finding("open files", f"{limit} are allowed, {needed} are needed", fix)


def _unanswered(about: str, url: str, answer: ProbeAnswer, what_to_check: str) -> Finding:
    fault = answer.fault or f"it answered {answer.status}"
    return Finding(
        about, f"{url} is not as it should be ({fault})", f"check that it runs, the network, and {what_to_check}"
    )


def _named(numbers: Sequence[str]) -> str:
    suffix = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return ", ".join(numbers[:MOST_NAMED]) + suffix
