"""What `hum doctor` makes of what it found: each check a function from facts to a finding.  Pure, and without secrets."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hum import descriptors, production
from hum.cli.doctor.facts import Answer, Certificate, Database, Engine, Line, Waiting
from hum.cli.doctor.finding import Finding
from hum.network import shown_url
from hum.settings import UpSettings

OLDEST_POSTGRES = 15
#: Between machines; node identities tolerate `rpc.NODE_CLOCKS_SECONDS`.
MOST_SKEW_SECONDS = 5.0
#: Of one control, besides its pools: migrations, LISTEN, an operator's psql.
OTHER_CONNECTIONS = 10
#: What loses or corrupts committed data, or leaves tables to grow, when it is off.
MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum")
UNAUTHORIZED, NOT_FOUND, TOO_MANY = 401, 404, 429
FORBIDDEN, NO_CONTENT, OK = 403, 204, 200
SWITCHING, UNAVAILABLE = 101, 503
MOST_NAMED = 5
#: A recording is in the bucket a few seconds after its call.
MOST_WAITING_SECONDS = 600
#: A certificate that is left to expire stops all calls.
SOON_DAYS = 14
#: What to do about the latest call, if it failed, by its reason.
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
    """`sentences`: what can't be read of them."""
    if config is None:
        return [Finding("settings", "can't be read", each) for each in sentences]
    found = [*sentences, *production.complaints(config)]
    if config.oidc_issuer and not config.oidc_client_id:
        found.append("HUM_OIDC_ISSUER is set but HUM_OIDC_CLIENT_ID is not; set both")
    if config.carrier_connections >= config.max_connections:
        found.append("HUM_CARRIER_CONNECTIONS must be less than HUM_MAX_CONNECTIONS, which includes them")
    if (config.tls_cert is None) != (config.tls_key is None):
        found.append("HUM_TLS_CERT and HUM_TLS_KEY belong together; set both")
    return [Finding("settings", "not acceptable", each) for each in found] or [
        Finding("settings", f"{config.env}, HUM_HOME {config.home}")
    ]


def keys(config: UpSettings, files: Mapping[str, int | None]) -> list[Finding]:
    """`files`: the modes of generated key files below HUM_HOME, by name; None: there is no such file."""
    if config.production:
        return [Finding("keys", "HUM_NODE_KEY and HUM_SECRET_KEYS are set")]  # or `settings` complains
    wrong = [name for name, mode in files.items() if mode is not None and mode & 0o077]
    if wrong:
        paths = " ".join(str(config.home / name) for name in wrong)
        return [Finding("keys", "others can read them", f"chmod 600 {paths}")]
    made = [name for name, mode in files.items() if mode is not None]
    return [Finding("keys", f"in {config.home}: {', '.join(made)}" if made else "made when HUM first starts")]


def home(config: UpSettings, fault: str, free_bytes: int) -> Finding:
    """`fault`: why nothing can be written to HUM_HOME, if so."""
    if fault:
        return Finding("home", f"{config.home} can't be written ({fault})", "give it to the user who runs HUM")
    if free_bytes < config.min_free_bytes:
        shown = f"{free_bytes >> 20} MiB are free at {config.home}, and calls need {config.min_free_bytes >> 20}"
        return Finding("home", shown, "make room on its disk")
    return Finding("home", f"{config.home} can be written, {free_bytes >> 20} MiB are free")


def recordings(config: UpSettings, waiting: Waiting, fault: str) -> Finding:
    """`fault`: why the bucket does not take, give and delete an object, if so."""
    waits = f"{waiting.files} files of {waiting.size_bytes >> 20} MiB wait on this machine"
    if fault:
        fix = f"check HUM_RECORDINGS_URL and the HUM_S3_* settings, and what the bucket allows; {waits}"
        return Finding("recordings", f"{config.recordings_url} can't be used ({fault})", fix)
    if waiting.oldest_seconds > MOST_WAITING_SECONDS:
        shown = f"{waits}, the oldest for {waiting.oldest_seconds / 60:.0f} minutes"
        return Finding("recordings", shown, "see that media runs here, and what it logs of recordings")
    return Finding("recordings", f"{config.recordings_url} takes, gives and deletes an object; {waits}")


def database(found: Database, config: UpSettings) -> list[Finding]:
    where = shown_url(config.database_url)
    if found.fault:
        return [Finding("database", found.fault, "start it, or correct HUM_DATABASE_URL")]
    version = f"PostgreSQL {found.version // 10_000}.{found.version % 10_000} at {where}"
    wrong = [
        *_database_version(found, version),
        *(
            Finding("database", f"the login lacks the role {role}", "run what `hum migrate --print-roles` prints")
            for role in found.missing_roles
        ),
        *_database_settings(found, config),
    ]
    return wrong or [Finding("database", f"{version}, up to date")]


def _database_version(found: Database, version: str) -> list[Finding]:
    wrong = []
    if found.version // 10_000 < OLDEST_POSTGRES:
        wrong.append(Finding("database", version, f"use PostgreSQL {OLDEST_POSTGRES} or later"))
    if found.is_standby:
        wrong.append(Finding("database", f"{version} is a standby", "point HUM_DATABASE_URL to the primary"))
    if found.is_newer:
        wrong.append(Finding("database", "its schema is of a later release", "run that release of HUM"))
    elif found.unapplied:
        wrong.append(Finding("database", f"{len(found.unapplied)} migrations are not applied", "run `hum migrate`"))
    return wrong


def _database_settings(found: Database, config: UpSettings) -> list[Finding]:
    values = found.settings or {}
    wrong = []
    if found.encoding != "UTF8":
        wrong.append(Finding("database", f"its encoding is {found.encoding}", "create it with ENCODING 'UTF8'"))
    wrong += [
        Finding("database", f"{name} is off", f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();")
        for name in MUST_BE_ON
        if values.get(name) == "off"
    ]
    if values.get("default_transaction_read_only") == "on":
        fix = "ALTER DATABASE ... SET default_transaction_read_only = off"
        wrong.append(Finding("database", "its transactions are read-only", fix))
    # Control and the worker, and while one is replaced, its successor.
    needed = 3 * (config.pool_size + config.calls_pool_size) + OTHER_CONNECTIONS
    if int(values.get("max_connections", needed)) < needed:
        shown = f"it takes {values['max_connections']} connections, and HUM may open {needed}"
        fix = "raise max_connections, or lower HUM_DATABASE_POOL and HUM_CALLS_DATABASE_POOL"
        wrong.append(Finding("database", shown, fix))
    return wrong


def control(fault: str, config: UpSettings) -> Finding:
    """`fault`: the status that came instead of an answer to an operator's question."""
    where = config.control_address
    if not fault:
        return Finding("control", f"answers at {where}, and takes our node key")
    if fault in {"PERMISSION_DENIED", "UNAUTHENTICATED"}:
        fix = "set HUM_NODE_KEY to the same on every plane, and synchronize the machines' clocks"
        return Finding("control", f"refuses our node key at {where}", fix)
    return Finding("control", f"does not answer at {where} ({fault})", "start it, or correct HUM_CONTROL_ADDRESS")


def carrier(config: UpSettings, answer: Answer) -> Finding | None:
    """What is wrong with the account, or None.  `answer`: the carrier's list of numbers."""
    where = shown_url(config.twilio_api_base_url)
    if not config.twilio_account_sid:
        fix = "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        return Finding("carrier", "no account is set", fix)
    if not config.twilio_auth_tokens:
        return Finding("carrier", "its webhooks can't be checked", "set TWILIO_AUTH_TOKEN, which signs them")
    if answer.status in {UNAUTHORIZED, FORBIDDEN}:
        names = "TWILIO_API_KEY and TWILIO_API_SECRET" if config.twilio_api_key else "TWILIO_AUTH_TOKEN"
        return Finding("carrier", f"{where} refuses account {config.twilio_account_sid}", f"correct {names}")
    if answer.status == NOT_FOUND:
        fix = "correct TWILIO_ACCOUNT_SID"
        return Finding("carrier", f"{where} knows no account {config.twilio_account_sid}", fix)
    if answer.status != OK:
        return _unanswered("carrier", where, answer, "TWILIO_API_BASE_URL")
    return None


def numbers(config: UpSettings, held: Sequence[Line], ours: Sequence[str] | None) -> list[Finding]:
    """`held`: at the carrier; `ours`: those that organizations have, None if the database could not tell."""
    at = {line.e164: line for line in held}
    wanted = (f"{config.public_url}/twilio/voice", f"{config.public_url}/twilio/voice/status")
    known = ours if ours is not None else [line.e164 for line in held if "/twilio/voice" in line.voice_url]
    lost = [each for each in known if each not in at]
    astray = [each for each in known if each in at and _asked(at[each]) != wanted]
    found = []
    if lost:
        fix = "release them (DELETE /api/numbers/{id}), or set the account that holds them"
        found.append(Finding("numbers", f"the account does not hold {_named(lost)}", fix))
    for each in astray[:MOST_NAMED]:
        voice, status = _asked(at[each])
        shown = f"{each} sends calls to {voice or 'nowhere'}, their status to {status or 'nowhere'}"
        fix = f"set them to {wanted[0]} and {wanted[1]}: POST /api/numbers/sync, or the carrier's console"
        found.append(Finding("numbers", shown, fix))
    if len(astray) > MOST_NAMED:
        found.append(Finding("numbers", f"{len(astray) - MOST_NAMED} more point elsewhere", "set their URLs, too"))
    count = len([each for each in known if each in at])
    return found or [Finding("numbers", f"the account holds {len(held)}; {count} of HUM's point here")]


def agents(found: Database) -> Finding:
    """Whether somebody answers each number."""
    if found.silent:
        fix = "give each a flow: PATCH /api/numbers/{id} {flow_id}"
        return Finding("agents", f"nobody answers {_named(found.silent)}", fix)
    if not found.numbers:
        return Finding(
            "agents", "no number yet: POST /api/numbers/buy, or POST /api/numbers for one that the account holds"
        )
    return Finding("agents", f"an agent answers each of {len(found.numbers)} numbers")


def media(processes: Sequence[Mapping[str, Any]], config: UpSettings) -> Finding:
    """`processes`: those that are linked to control, as `Database.media` has them."""
    taking = [each for each in processes if not each["refuses"]]
    if not processes:
        fix = "start `hum media`; its HUM_CONTROL_ADDRESS and HUM_NODE_KEY must be control's"
        return Finding("media", "no process is linked to control", fix)
    if not taking:
        why = ", ".join(sorted({each["refuses"] for each in processes}))
        return Finding(
            "media", f"none of {len(processes)} processes takes calls ({why})", "see its /readyz and its log"
        )
    zones = Counter(each["zone"] for each in taking)
    shown = f"{len(taking)} of {len(processes)} processes take calls"
    if any(zones):
        shown += ": " + ", ".join(f"{count} in {zone or 'no zone'}" for zone, count in sorted(zones.items()))
    if len(releases := sorted({each["version"] for each in processes})) > 1:
        shown += f"; releases {', '.join(each or 'unknown' for each in releases)}"
    if config.zone and not zones[config.zone]:
        fix = "start `hum media` there, or correct HUM_ZONE: calls of this zone go to others"
        return Finding("media", f"{shown}; none in {config.zone}, which is ours", fix)
    return Finding("media", f"{shown}; they have {sum(each['places'] for each in taking)} places")


def last_call(call: Mapping[str, Any] | None) -> Finding:
    """The latest call of all organizations."""
    if call is None:
        return Finding("calls", "none came yet: call one of the numbers, then ask again")
    ended = f"{call['status'].replace('_', ' ')}{', ' if call['reason'] else ''}{call['reason']}"
    shown = f"the latest began {_ago(call['seconds_ago'])} ago: {ended}"
    return Finding("calls", shown, FAULTS.get(call["reason"], "") if call["status"] == "failed" else "")


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def certificate(found: Certificate | None, config: UpSettings) -> Finding:
    """What planes show each other (HUM_TLS_CERT); None: none is set."""
    host = config.control_address.rpartition(":")[0].strip("[]")
    if found is None:
        if host in {"", "localhost"} or host.startswith("127.") or host == "::1":
            return Finding("TLS", "planes talk on this machine, without TLS")
        fix = "set HUM_TLS_CERT, HUM_TLS_KEY and HUM_TLS_CA on every plane"
        return Finding("TLS", f"planes talk to {host} without TLS", fix)
    if found.fault:
        return Finding("TLS", found.fault, "correct HUM_TLS_CERT, HUM_TLS_KEY and HUM_TLS_CA")
    if found.days_left < 0:
        return Finding("TLS", f"the certificate expired {-found.days_left:.0f} days ago", "renew HUM_TLS_CERT")
    if found.days_left < SOON_DAYS:
        return Finding("TLS", f"the certificate expires in {found.days_left:.0f} days", "renew HUM_TLS_CERT")
    return Finding("TLS", f"{', '.join(found.names)}, for {found.days_left:.0f} more days")


def _asked(line: Line) -> tuple[str, str]:
    """Without connection overrides."""
    return line.voice_url.partition("#")[0], line.status_url.partition("#")[0]


def model(config: UpSettings, answers: Mapping[str, Answer]) -> list[Finding]:
    """`answers`: what the model's API says of each model that is set, by its variable."""
    where, named = shown_url(config.openai_base_url), models(config)
    if not config.openai_api_key:
        return [Finding("model", "no key is set", "set OPENAI_API_KEY")]
    found = []
    for variable, answer in answers.items():
        if answer.status in {UNAUTHORIZED, FORBIDDEN}:
            return [Finding("model", f"{where} refuses the key", "correct OPENAI_API_KEY")]
        if answer.status == NOT_FOUND:
            found.append(Finding("model", f"{where} has no {named[variable]}", f"correct {variable}"))
        elif answer.status not in {OK, TOO_MANY}:
            return [_unanswered("model", where, answer, "OPENAI_BASE_URL")]
    return found or [Finding("model", f"{where} has {', '.join(dict.fromkeys(named.values()))}")]


def models(config: UpSettings) -> dict[str, str]:
    """The models that HUM uses, by variable."""
    return {
        "HUM_REALTIME_MODEL": config.realtime_model,
        "HUM_TEXT_MODEL": config.text_model,
        "HUM_SPEECH_MODEL": config.speech_model,
        "HUM_TRANSCRIBE_MODEL": config.transcribe_model,
    }


def sign_in(config: UpSettings, answer: Answer | None) -> Finding:
    """`answer`: the issuer's discovery document; None: no issuer is set."""
    if answer is None:
        return Finding("sign-in", "no issuer is set: API keys work, and nobody can sign in")
    issuer = config.oidc_issuer
    if config.production and not issuer.startswith("https://"):
        return Finding("sign-in", f"the issuer is {issuer}", "set HUM_OIDC_ISSUER to an https URL")
    if answer.status != OK or not isinstance(answer.json, dict):
        return _unanswered("sign-in", issuer, answer, "HUM_OIDC_ISSUER")
    if (name := answer.json.get("issuer")) != issuer:
        return Finding("sign-in", f"{issuer} calls itself {str(name)[:200]}", "set HUM_OIDC_ISSUER to exactly that")
    return Finding("sign-in", f"{issuer} answers; it must know {config.public_url}/auth/callback")


def email(config: UpSettings, fault: str) -> Finding:
    """`fault`: why the SMTP server takes nothing; empty if it does."""
    if fault:
        fix = "check HUM_SMTP_URL, HUM_SMTP_USER, HUM_SMTP_PASSWORD and HUM_SMTP_CA"
        return Finding("e-mail", f"{config.smtp_url} can't be used: {fault}", fix)
    return Finding("e-mail", f"{config.smtp_url} answers; e-mails are from {config.smtp_from}")


def public_url(config: UpSettings, health: Answer, signed: Answer) -> Finding:
    """`health`: of `/healthz`; `signed`: of a webhook that the carrier could have signed, and that asks for nothing."""
    url = config.public_url
    if health.status != OK or health.text.strip() != "ok":
        return _unanswered("public URL", url, health, "HUM_PUBLIC_URL, or the proxy")
    if signed.status == FORBIDDEN:
        fix = "let the proxy pass /twilio/* unchanged, path, query and body, and set HUM_PUBLIC_URL to what callers use"
        return Finding("public URL", f"{url} changes signed requests, or does not have our TWILIO_AUTH_TOKEN", fix)
    if signed.status != NO_CONTENT:
        return _unanswered("public URL", f"{url}/twilio/voice/status", signed, "the proxy")
    return Finding("public URL", f"{url} answers, and signed webhooks arrive unchanged")


def media_url(config: UpSettings, answer: Answer) -> Finding:
    """`answer`: to a signed WebSocket upgrade, which was closed at once."""
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
    """`skews_seconds`: by how much the clocks of others are ahead of ours."""
    if not skews_seconds:
        return Finding("clock", "nobody else's was seen")
    name, most = max(skews_seconds.items(), key=lambda each: abs(each[1]))
    if abs(most) > MOST_SKEW_SECONDS:
        fix = "run an NTP client on both: signatures and node identities expire by the clock"
        return Finding("clock", f"{abs(most):.0f} s {'behind' if most > 0 else 'ahead of'} that of the {name}", fix)
    return Finding("clock", f"within {MOST_SKEW_SECONDS:g} s of {', '.join(skews_seconds)}")


def engine(found: Engine, config: UpSettings) -> list[Finding]:
    """BLAS and the core, as a media process has them."""
    if found.fault:
        return [Finding("core", found.fault, "install HUM anew: make")]
    blas = Finding("BLAS", found.blas or "none")
    if found.blas_threads > 1:
        blas = Finding("BLAS", found.blas, "set OPENBLAS_NUM_THREADS=1: it takes the cores of calls")
    if found.compiled:
        return [blas, Finding("core", "compiled")]
    if found.interpreted:
        core = Finding("core", "interpreted", "unset HUM_MEDIA_INTERPRETED" if config.production else "")
    else:
        how = "install gcc and python3-dev, and run `make` again: a call then costs a fifth less CPU"
        core = Finding("core", f"interpreted; {how}") if not config.production else Finding("core", "interpreted", how)
    return [blas, core]


def open_files(config: UpSettings, limit: int) -> Finding:
    """`limit`: how many a process of ours may open."""
    needed = {
        "HUM_MAX_CONNECTIONS": config.max_connections + descriptors.OF_A_GATEWAY,
        "HUM_MAX_CALLS": config.max_calls * descriptors.PER_CALL + 2 * config.max_waiting + descriptors.SPARE,
    }
    short = {name: count for name, count in needed.items() if count > limit}
    if short:
        most = max(short.values())
        fix = f"raise the hard limit (ulimit -Hn {most}, or LimitNOFILE={most}), or lower {' and '.join(short)}"
        return Finding("open files", f"{limit} are allowed, {most} are needed", fix)
    return Finding("open files", f"{limit} are allowed, {max(needed.values())} are needed")


def _unanswered(about: str, where: str, answer: Answer, what: str) -> Finding:
    came = answer.fault or f"it answered {answer.status}"
    return Finding(about, f"{where} is not as it should be ({came})", f"check that it runs, the network, and {what}")


def _named(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return ", ".join(numbers[:MOST_NAMED]) + more
