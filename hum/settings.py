"""Settings.  This module alone reads the environment.

One frozen class for each program; each field names its variable and says what it is.  A wrong value, and a `HUM_*`
variable that nobody knows, stop the process with a sentence that says what to do.
"""

import difflib
import os
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

SettingsT = TypeVar("SettingsT", bound="Common")


def _env(name: str, default: Any, doc: str, **rules: Any) -> Any:
    return Field(default, validation_alias=name, description=doc, **rules)


class Listen(NamedTuple):
    """A socket to listen on; port 0 asks the system for one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def plus(self, count: int) -> "Listen":
        """The socket so many ports further on; of port 0, port 0."""
        return self._replace(port=self.port + count) if self.port else self


def parse_listen(text: str) -> Listen:
    """Read `host:port`, with an IPv6 host in brackets."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port, for example 127.0.0.1:8080")
    return Listen(host.strip("[]"), int(port))


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read CIDRs, separated by commas or spaces."""
    networks = []
    for word in text.replace(",", " ").split():
        try:
            network = ip_network(word)
        except ValueError as error:
            raise ValueError(f"{word!r} is not a network, for example 10.1.0.0/16: {error}") from error
        if network.prefixlen == 0:
            raise ValueError(f"{word!r} is every address; name the networks that are needed")
        networks.append(network)
    return tuple(networks)


class Common(BaseSettings):
    """What every program of HUM reads."""

    # Programs and tests may fill fields by name; the environment may not, or `home` would be read from $HOME.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_prefix="HUM_BY_NAME_", env_ignore_empty=True
    )

    env: Literal["development", "production"] = _env(
        "HUM_ENV", "development", "production refuses sandbox parts, default secrets and http cookies"
    )
    home: Path = _env("HUM_HOME", Path("var"), "where embedded parts, recordings and spools live")
    log_level: Literal["debug", "info", "warning", "error"] = _env(
        "HUM_LOG_LEVEL", "info", "lowest level that is logged"
    )
    node: str = _env("HUM_NODE", "", "this process's name in links and logs; unset: plane, host and process id")
    metrics_listen: str = _env(
        "HUM_METRICS_LISTEN",
        "127.0.0.1:0",
        "the operator's socket of a process: `/metrics`, `/healthz`, `/readyz`; port 0: a free one, which the log names; "
        "`hum up` and `--workers` count up from another port",
    )
    node_key: str = _env("HUM_NODE_KEY", "", "shared key by which planes authenticate to control; made by `hum up`")
    control_address: str = _env("HUM_CONTROL_ADDRESS", "127.0.0.1:50051", "host:port of control")
    tls_cert: Path | None = _env("HUM_TLS_CERT", None, "PEM certificate for gRPC between planes")
    tls_key: Path | None = _env("HUM_TLS_KEY", None, "PEM private key of HUM_TLS_CERT")
    tls_ca: Path | None = _env("HUM_TLS_CA", None, "PEM of the certificate authority that planes trust")
    otlp_endpoint: str = _env(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "", "where the traces of requests go (OTLP, gRPC); unset: nowhere"
    )
    public_url: str = _env(
        "HUM_PUBLIC_URL", "http://127.0.0.1:8080", "URL at which the carrier and browsers reach the gateway (https)"
    )
    media_url: str = _env(
        "HUM_MEDIA_URL", "ws://127.0.0.1:8081", "URL at which the carrier reaches the media plane (wss)"
    )

    @field_validator("public_url", "media_url")
    @classmethod
    def _no_trailing_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @property
    def production(self) -> bool:
        return self.env == "production"


class Carrier(Common):
    """The carrier's account."""

    twilio_account_sid: str = _env("TWILIO_ACCOUNT_SID", "", "the account that holds the numbers")
    twilio_auth_token: str = _env(
        "TWILIO_AUTH_TOKEN", "", "signs the carrier's requests; comma-separated while rotating, newest first"
    )
    twilio_api_key: str = _env("TWILIO_API_KEY", "", "API key for REST; unset: account SID and auth token")
    twilio_api_secret: str = _env("TWILIO_API_SECRET", "", "secret of TWILIO_API_KEY")
    twilio_api_base_url: str = _env("TWILIO_API_BASE_URL", "https://api.twilio.com", "the carrier's REST API")
    twilio_lookups_base_url: str = _env(
        "TWILIO_LOOKUPS_BASE_URL",
        "",
        "its Lookup API; unset: https://lookups.twilio.com, or where another REST API is named, there",
    )

    @property
    def twilio_auth_tokens(self) -> tuple[str, ...]:
        return tuple(token.strip() for token in self.twilio_auth_token.split(",") if token.strip())

    @property
    def lookups_base_url(self) -> str:
        is_real = self.twilio_api_base_url.rstrip("/") == "https://api.twilio.com"
        return self.twilio_lookups_base_url or ("https://lookups.twilio.com" if is_real else self.twilio_api_base_url)


class Model(Common):
    """The model's account."""

    openai_api_key: str = _env("OPENAI_API_KEY", "", "API key of the model")
    openai_base_url: str = _env(
        "OPENAI_BASE_URL", "https://api.openai.com/v1", "the realtime socket is derived from it"
    )
    realtime_model: str = _env("HUM_REALTIME_MODEL", "gpt-realtime-2.1", "realtime model that speaks on calls")
    text_model: str = _env("HUM_TEXT_MODEL", "gpt-5.4-mini", "model for summaries")
    speech_model: str = _env("HUM_SPEECH_MODEL", "gpt-4o-mini-tts", "text-to-speech model for fixed sentences")
    transcribe_model: str = _env("HUM_TRANSCRIBE_MODEL", "gpt-4o-transcribe", "model that transcribes the caller")
    default_voice: str = _env("HUM_VOICE", "marin", "the voice of flows that name none")


class DatabaseSettings(Common):
    """The database, as control uses it."""

    database_url: str = _env("HUM_DATABASE_URL", "", "PostgreSQL 15 or later; unset: embedded, under HUM_HOME")
    pool_size: int = _env("HUM_DATABASE_POOL", 10, "database connections of this process", ge=2, le=200)
    statement_seconds: float = _env("HUM_STATEMENT_SECONDS", 15.0, "seconds before a statement is cancelled", gt=0)
    lock_seconds: float = _env("HUM_LOCK_SECONDS", 5.0, "seconds a statement waits for a lock before it fails", gt=0)
    database_retry_seconds: float = _env(
        "HUM_DATABASE_RETRY_SECONDS", 1.0, "seconds between attempts to reach a database that went away", gt=0
    )


class RequestSettings(Common):
    """The boundary, through which every request to control passes."""

    control_listen: str = _env("HUM_CONTROL_LISTEN", "127.0.0.1:50051", "gRPC socket of control")
    idempotency_hours: float = _env("HUM_IDEMPOTENCY_HOURS", 24.0, "how long an Idempotency-Key is remembered", gt=0)
    idempotency_lease_seconds: float = _env(
        "HUM_IDEMPOTENCY_LEASE_SECONDS",
        60.0,
        "the longest that a request with an Idempotency-Key may act at the carrier; then its key is free again",
        gt=0,
    )
    rate_per_second: float = _env(
        "HUM_RATE_PER_SECOND", 50.0, "requests that one credential may make, on average", gt=0
    )
    rate_burst: int = _env("HUM_RATE_BURST", 200, "requests that one credential may make at once", ge=1)
    organization_rate_per_second: float = _env(
        "HUM_ORGANIZATION_RATE_PER_SECOND", 150.0, "requests that one organization may make, on average", gt=0
    )
    organization_rate_burst: int = _env(
        "HUM_ORGANIZATION_RATE_BURST", 600, "requests that one organization may make at once", ge=1
    )
    stranger_rate_per_second: float = _env(
        "HUM_STRANGER_RATE_PER_SECOND",
        2.0,
        "steps of sign-in, and requests with a credential that is not known, that one address may make, on average",
        gt=0,
    )
    stranger_rate_burst: int = _env("HUM_STRANGER_RATE_BURST", 60, "the same, at once", ge=1)
    streams_per_credential: int = _env(
        "HUM_STREAMS_PER_CREDENTIAL", 20, "event streams and downloads that one credential may have open", ge=1
    )
    streams_per_organization: int = _env(
        "HUM_STREAMS_PER_ORGANIZATION", 100, "event streams and downloads that one organization may have open", ge=1
    )
    drain_seconds: float = _env(
        "HUM_DRAIN_SECONDS", 3600.0, "how long calls and requests may go on after SIGTERM; streams end at once", ge=0
    )


class IdentitySettings(Common):
    """Sign-in, sessions, invitations."""

    session_idle_hours: float = _env(
        "HUM_SESSION_IDLE_HOURS", 12.0, "hours without use after which a session ends", gt=0
    )
    session_hours: float = _env("HUM_SESSION_HOURS", 168.0, "hours after which a session ends in any case", gt=0)
    sign_in_seconds: float = _env("HUM_SIGN_IN_SECONDS", 600.0, "seconds before a sign-in expires", gt=0)
    invite_days: float = _env("HUM_INVITE_DAYS", 14.0, "days before an invitation expires", gt=0)
    trust_email: bool = _env(
        "HUM_OIDC_TRUST_EMAIL", False, "treat the issuer's addresses as verified without `email_verified`"
    )


class RecordingSettings(Common):
    """Where recordings lie."""

    recordings_url: str = _env("HUM_RECORDINGS_URL", "", "a directory; unset: HUM_HOME/recordings")

    @property
    def recordings_dir(self) -> Path:
        return Path(self.recordings_url) if self.recordings_url else self.home / "recordings"


class CallsSettings(Model, RecordingSettings):
    """Calls, as control sees them."""

    token_seconds: int = _env("HUM_STREAM_TOKEN_SECONDS", 60, "seconds before an unused stream token expires", ge=1)
    recheck_seconds: float = _env(
        "HUM_STREAM_RECHECK_SECONDS", 60.0, "how often a stream's access is checked again", gt=0
    )
    watch_seconds: float = _env(
        "HUM_WATCH_SECONDS", 30.0, "how long a call's words are sent as they come, unless a reader asks again", gt=0
    )
    link_lost_seconds: float = _env(
        "HUM_LINK_LOST_SECONDS", 30.0, "how long a call lives on when its media link is lost", gt=0
    )
    settle_seconds: float = _env(
        "HUM_SETTLE_SECONDS", 1.5, "how long the carrier's `next` waits for the stream's last report", gt=0
    )
    tool_seconds: float = _env("HUM_TOOL_SECONDS", 10.0, "how long a call waits for a tool's result", gt=0)
    lookup_days: float = _env(
        "HUM_LOOKUP_DAYS", 30.0, "days before a caller is looked up at the carrier again; 0: never looked up", ge=0
    )


class NumbersSettings(RequestSettings):
    """Buying and giving back numbers."""

    carrier_look_seconds: float = _env(
        "HUM_CARRIER_LOOK_SECONDS",
        60.0,
        "seconds before an unanswered order is looked up at the carrier",
        gt=0,
    )


class WorkerSettings(DatabaseSettings):
    """Jobs, sweeps, readers."""

    sweep_seconds: float = _env("HUM_SWEEP_SECONDS", 10.0, "seconds between a worker's sweeps", gt=0)
    roll_up_seconds: float = _env("HUM_ROLL_UP_SECONDS", 2.0, "seconds between updates of the analytics", gt=0)
    worker_tasks: int = _env("HUM_WORKER_TASKS", 32, "jobs that one worker runs at once", ge=20)
    worker_idle_seconds: float = _env("HUM_WORKER_IDLE_SECONDS", 1.0, "how often an idle worker looks for work", gt=0)
    step_failures: int = _env(
        "HUM_STEP_FAILURES", 10, "consecutive failures of a sweep or reader that end its worker", ge=1
    )
    job_attempts: int = _env("HUM_JOB_ATTEMPTS", 5, "failed attempts after which a job is held for an operator", ge=1)
    job_retry_seconds: float = _env("HUM_JOB_RETRY_SECONDS", 5.0, "seconds before the second attempt; doubles", gt=0)
    job_heartbeat_seconds: float = _env(
        "HUM_JOB_HEARTBEAT_SECONDS", 30.0, "seconds without a heartbeat before another worker takes the job", gt=0
    )


class EgressSettings(Common):
    """Which networks the URLs of customers may reach."""

    egress_allow: str = _env(
        "HUM_EGRESS_ALLOW", "", "networks (CIDR, comma-separated) that customers' URLs may reach besides the internet"
    )

    @field_validator("egress_allow")
    @classmethod
    def _only_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @property
    def egress_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return parse_networks(self.egress_allow)


class ControlSettings(Carrier, IdentitySettings, CallsSettings, NumbersSettings, EgressSettings, WorkerSettings):
    """`hum control` and `hum worker`: every feature reads its own group."""

    secret_keys: str = _env(
        "HUM_SECRET_KEYS",
        "",
        "not implemented; required in production, but seals nothing yet: version:base64key,... newest first; made by `hum up`",
    )
    carrier_seconds: float = _env("HUM_CARRIER_SECONDS", 10.0, "the longest wait for the carrier's REST API", gt=0)
    model_seconds: float = _env("HUM_MODEL_SECONDS", 60.0, "the longest wait for the model's REST API", gt=0)
    interpreted: bool = _env(
        "HUM_MEDIA_INTERPRETED", False, "interpret the media core even where it was compiled: to debug, to compare"
    )


class PublicSocketSettings(Common):
    """The socket that everybody reaches: how many may be there at once, and how long one may take."""

    max_connections: int = _env(
        "HUM_MAX_CONNECTIONS",
        900,
        "connections at once; the one that has owed a whole request for the longest makes room for a new one",
        ge=10,
    )
    carrier_connections: int = _env(
        "HUM_CARRIER_CONNECTIONS", 200, "of HUM_MAX_CONNECTIONS, those that only the carrier's webhooks may take", ge=1
    )
    connections_per_address: int = _env(
        "HUM_CONNECTIONS_PER_ADDRESS",
        100,
        "requests of one address that may be under way, and as many connections that owe one",
        ge=1,
    )
    trusted_proxies: str = _env(
        "HUM_TRUSTED_PROXIES",
        "127.0.0.0/8,::1/128",
        "networks (CIDR, comma-separated) of the proxies whose X-Forwarded-For names the client",
    )
    head_seconds: float = _env("HUM_HEAD_SECONDS", 10.0, "seconds that a request's head may take to arrive", gt=0)
    body_seconds: float = _env("HUM_BODY_SECONDS", 30.0, "seconds that a request's body may take to arrive", gt=0)
    send_seconds: float = _env(
        "HUM_SEND_SECONDS", 30.0, "seconds after which a client that stopped reading its answer is left", gt=0
    )
    body_bytes: int = _env("HUM_BODY_BYTES", 1 << 20, "the largest request body", ge=1024)
    bodies_bytes: int = _env("HUM_BODIES_BYTES", 64 << 20, "all request bodies that are arriving, together", ge=1024)

    @field_validator("trusted_proxies")
    @classmethod
    def _only_proxies(cls, text: str) -> str:
        parse_networks(text)
        return text

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return parse_networks(self.trusted_proxies)


class GatewaySettings(Carrier, PublicSocketSettings):
    """`hum gateway`."""

    gateway_listen: str = _env("HUM_GATEWAY_LISTEN", "127.0.0.1:8080", "HTTP socket of the gateway")
    oidc_issuer: str = _env("HUM_OIDC_ISSUER", "", "OpenID Connect issuer, https://...; unset: nobody can sign in")
    oidc_client_id: str = _env("HUM_OIDC_CLIENT_ID", "", "client id at the issuer")
    oidc_client_secret: str = _env("HUM_OIDC_CLIENT_SECRET", "", "client secret at the issuer; unset: a public client")
    oidc_seconds: float = _env("HUM_OIDC_SECONDS", 10.0, "the longest wait for the issuer", gt=0)
    oidc_keys_seconds: float = _env(
        "HUM_OIDC_KEYS_SECONDS", 30.0, "least seconds between fetches of the issuer's keys on an unknown key", ge=0
    )
    oidc_leeway_seconds: int = _env("HUM_OIDC_LEEWAY_SECONDS", 60, "how far the issuer's clock may be off", ge=0)
    control_seconds: float = _env("HUM_CONTROL_SECONDS", 10.0, "the longest wait for control's answer", gt=0)
    ingress_seconds: float = _env(
        "HUM_INGRESS_SECONDS", 4.0, "the longest wait for control's answer to a carrier's webhook", gt=0
    )
    heartbeat_seconds: float = _env(
        "HUM_HEARTBEAT_SECONDS", 15.0, "seconds between comments in idle event streams", gt=0
    )
    drain_seconds: float = _env("HUM_DRAIN_SECONDS", 3600.0, "how long requests may go on after SIGTERM", ge=0)


class MediaSettings(Carrier, Model, RecordingSettings):
    """`hum media`."""

    media_listen: str = _env("HUM_MEDIA_LISTEN", "127.0.0.1:8081", "WebSocket socket of the media plane")
    max_calls: int = _env("HUM_MAX_CALLS", 250, "more calls than this are refused", ge=1)
    max_lag_ms: float = _env(
        "HUM_MAX_LAG_MS", 120.0, "no new calls while the event loop was later than this once in the last second", gt=0
    )
    max_late_ms: float = _env(
        "HUM_MAX_LATE_MS", 3.0, "no new calls while the event loop is later than this on the average of 3 s", gt=0
    )
    max_frame_bytes: int = _env(
        "HUM_MAX_FRAME_BYTES", 64 << 10, "a larger frame from the carrier ends the stream", ge=1024
    )
    drain_seconds: float = _env("HUM_DRAIN_SECONDS", 3600.0, "how long calls may go on after SIGTERM", ge=0)
    pacer_ms: float = _env("HUM_PACER_MS", 20.0, "milliseconds between the pacer's ticks", gt=0)
    start_seconds: float = _env(
        "HUM_STREAM_START_SECONDS", 10.0, "seconds before a stream that has not started is closed", gt=0
    )
    session_seconds: float = _env("HUM_SESSION_SECONDS", 5.0, "the longest wait for control to open a session", gt=0)
    dial_seconds: float = _env("HUM_DIAL_SECONDS", 8.0, "the longest wait for the model's socket", gt=0)
    silent_seconds: float = _env(
        "HUM_CARRIER_SILENT_SECONDS", 20.0, "seconds without a frame before a stream counts as lost", gt=0
    )
    model_retry_ms: float = _env(
        "HUM_MODEL_RETRY_MS", 100.0, "wait before the model is dialled a second time in a row; doubles", gt=0
    )
    end_ack_seconds: float = _env(
        "HUM_END_ACK_SECONDS", 1.0, "how long a call that we end waits for control to know before it is closed", ge=0
    )
    link_retry_ms: float = _env(
        "HUM_LINK_RETRY_MS", 250.0, "first wait before a lost link is opened again; doubles", gt=0
    )
    transcript_wait_ms: float = _env("HUM_TRANSCRIPT_WAIT_MS", 5000.0, "how long a turn waits for its transcript", gt=0)
    filler_after_ms: float = _env(
        "HUM_FILLER_AFTER_MS",
        750.0,
        "how long a caller waits for an answer before one of the flow's fillers is played",
        gt=0,
    )
    vad_confirm: bool = _env(
        "HUM_VAD_CONFIRM", True, "a second detector (Silero) must agree before a caller's sound stops the agent"
    )

    @property
    def spool_dir(self) -> Path:
        return self.home / "spool"


class UpSettings(ControlSettings, GatewaySettings, MediaSettings):
    """`hum up`, `hum doctor`, `hum call`: the whole machine.  Knows what was set and what was left to defaults."""

    def is_set(self, variable: str) -> bool:
        """Tell whether the operator set the variable, and not to nothing."""
        return bool(os.environ.get(variable))


def variables() -> Mapping[str, FieldInfo]:
    """Every variable and its field, for the check of unknown ones and for the documentation."""
    return {str(field.validation_alias): field for field in UpSettings.model_fields.values() if field.validation_alias}


def unknown(names: Iterator[str]) -> list[str]:
    """Sentences about the `HUM_*` names that nobody knows."""
    known, sentences = variables(), []
    for name in sorted(names):
        if name.startswith("HUM_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            sentences.append(f"{name} is not a setting; " + (f"did you mean {near[0]}?" if near else "remove it"))
    return sentences


def load(kind: type[SettingsT]) -> SettingsT:
    """Read the environment; a bad one ends the process with sentences, status 2."""
    sentences = unknown(iter(os.environ))
    try:
        settings = kind()
    except ValidationError as error:
        sentences += [_sentence(each["loc"], each["msg"]) for each in error.errors()]
    if sentences:
        _stop(sentences)
    return settings


def media_interpreted() -> bool:
    """HUM_MEDIA_INTERPRETED, for whom modules are imported before anybody reads settings."""
    return os.environ.get("HUM_MEDIA_INTERPRETED", "").lower() in {"1", "true", "yes", "on", "t", "y"}


def environment() -> dict[str, str]:
    """A copy of the environment, for the programs that `hum up` starts."""
    return dict(os.environ)


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else "the settings"
    field = variables().get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    return f"{name}{meaning}: {message}"


def _stop(sentences: list[str]) -> NoReturn:
    for sentence in sentences:
        sys.stderr.write(f"hum: {sentence}\n")
    raise SystemExit(2)
