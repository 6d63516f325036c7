"""What `hum control` and `hum worker` read, by feature."""

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import field_validator

from hum.network import parse_networks
from hum.settings.base import Carrier, Common, Model, RecordingSettings, UploadSettings, setting


class DatabaseSettings(Common):
    """The database, as control uses it."""

    database_url: str = setting(
        "HUM_DATABASE_URL", "", "URL of PostgreSQL 15 or later; unset: an embedded one, under HUM_HOME"
    )
    pool_size: int = setting("HUM_DATABASE_POOL", 10, "database connections of this process", ge=2, le=200)
    calls_pool_size: int = setting(
        "HUM_CALLS_DATABASE_POOL", 8, "more of them, for calls and webhooks alone", ge=2, le=200
    )
    statement_seconds: float = setting("HUM_STATEMENT_SECONDS", 15.0, "seconds before a statement is cancelled", gt=0)
    lock_seconds: float = setting("HUM_LOCK_SECONDS", 5.0, "seconds a statement waits for a lock before it fails", gt=0)
    database_retry_seconds: float = setting(
        "HUM_DATABASE_RETRY_SECONDS", 1.0, "seconds between attempts to reconnect to an unavailable database", gt=0
    )


class RequestSettings(Common):
    """The boundary, through which every request to control passes."""

    control_listen: str = setting("HUM_CONTROL_LISTEN", "127.0.0.1:50051", "host:port on which control serves gRPC")
    control_shared: bool = setting(
        "HUM_CONTROL_SHARED", False, "whether several controls may listen on one port (SO_REUSEPORT), as successors do"
    )
    idempotency_hours: float = setting("HUM_IDEMPOTENCY_HOURS", 24.0, "hours before an Idempotency-Key expires", gt=0)
    idempotency_lease_seconds: float = setting(
        "HUM_IDEMPOTENCY_LEASE_SECONDS",
        60.0,
        "seconds that a request with an Idempotency-Key may take at the carrier; after that its key is free again",
        gt=0,
    )
    rate_per_second: float = setting(
        "HUM_RATE_PER_SECOND", 50.0, "requests per second that one credential may make, on average", gt=0
    )
    rate_burst: int = setting("HUM_RATE_BURST", 200, "requests that one credential may make at once", ge=1)
    organization_rate_per_second: float = setting(
        "HUM_ORGANIZATION_RATE_PER_SECOND",
        150.0,
        "requests per second that one organization may make, on average",
        gt=0,
    )
    organization_rate_burst: int = setting(
        "HUM_ORGANIZATION_RATE_BURST", 600, "requests that one organization may make at once", ge=1
    )
    unknown_rate_per_second: float = setting(
        "HUM_UNKNOWN_RATE_PER_SECOND",
        2.0,
        "sign-in steps, and requests with an unknown credential, per second from one address, on average",
        gt=0,
    )
    unknown_rate_burst: int = setting(
        "HUM_UNKNOWN_RATE_BURST",
        60,
        "sign-in steps, and requests with an unknown credential, at once from one address",
        ge=1,
    )
    streams_per_credential: int = setting(
        "HUM_STREAMS_PER_CREDENTIAL", 20, "event streams and downloads that one credential may have open at once", ge=1
    )
    streams_per_organization: int = setting(
        "HUM_STREAMS_PER_ORGANIZATION",
        100,
        "event streams and downloads that one organization may have open at once",
        ge=1,
    )
    organization_requests: int = setting(
        "HUM_ORGANIZATION_REQUESTS", 4, "simultaneous requests of an organization", ge=1
    )
    organization_wait_seconds: float = setting("HUM_ORGANIZATION_WAIT_SECONDS", 2.0, "how long further ones wait", gt=0)
    drain_seconds: float = setting(
        "HUM_DRAIN_SECONDS",
        3600.0,
        "seconds that calls and requests may continue after SIGTERM; control's streams end at once",
        ge=0,
    )


class IdentitySettings(Common):
    """Sign-in, sessions, invitations."""

    session_idle_hours: float = setting(
        "HUM_SESSION_IDLE_HOURS", 12.0, "hours without use after which a session ends", gt=0
    )
    session_hours: float = setting("HUM_SESSION_HOURS", 168.0, "hours after which a session ends in any case", gt=0)
    sign_in_seconds: float = setting("HUM_SIGN_IN_SECONDS", 600.0, "seconds before a sign-in expires", gt=0)
    linking_seconds: float = setting(
        "HUM_LINKING_SECONDS", 900.0, "seconds after a sign-in in which the person may link another account", gt=0
    )
    invite_days: float = setting("HUM_INVITE_DAYS", 14.0, "days before an invitation expires", gt=0)
    onboarding: Literal["open", "approval", "closed"] | None = setting(
        "HUM_ONBOARDING",
        None,
        "who may make organizations: everybody (open), whom a site admin approves (approval), nobody (closed); "
        "unset: open in development, approval in production",
    )
    organizations_per_person: int = setting(
        "HUM_ORGANIZATIONS_PER_PERSON", 5, "organizations that one person may make or ask for", ge=0
    )
    trust_email: bool = setting(
        "HUM_OIDC_TRUST_EMAIL", False, "treat the issuer's e-mail addresses as verified even without `email_verified`"
    )

    @property
    def onboarding_mode(self) -> Literal["open", "approval", "closed"]:
        return self.onboarding or ("approval" if self.production else "open")


class CallsSettings(Model, RecordingSettings):
    """Calls, as control sees them."""

    token_seconds: int = setting("HUM_STREAM_TOKEN_SECONDS", 30, "seconds before an unused stream token expires", ge=1)
    max_calls_per_organization: int = setting(
        "HUM_MAX_CALLS_PER_ORGANIZATION", 200, "an organization's calls at once", ge=1
    )
    max_calls_per_caller: int = setting("HUM_MAX_CALLS_PER_CALLER", 10, "of these, calls by one caller", ge=1)
    recheck_seconds: float = setting(
        "HUM_STREAM_RECHECK_SECONDS", 60.0, "seconds between checks of an event stream's access", gt=0
    )
    watch_seconds: float = setting(
        "HUM_WATCH_SECONDS", 30.0, "seconds before a lease on a call's transcript deltas expires, unless renewed", gt=0
    )
    link_lost_seconds: float = setting(
        "HUM_LINK_LOST_SECONDS", 30.0, "seconds before a call whose media link is lost is closed", gt=0
    )
    link_silent_seconds: float = setting(
        "HUM_LINK_SILENT_SECONDS", 10.0, "a media process that says nothing for so long counts as gone", gt=0
    )
    room_seconds: float = setting(
        "HUM_ROOM_SECONDS", 2.0, "how long a caller waits for a media process that takes calls", ge=0
    )
    settle_seconds: float = setting(
        "HUM_SETTLE_SECONDS", 1.5, "seconds that the carrier's `next` waits for the stream's last report", gt=0
    )
    tool_seconds: float = setting("HUM_TOOL_SECONDS", 10.0, "seconds that a call waits for a tool's result", gt=0)
    lookup_days: float = setting(
        "HUM_LOOKUP_DAYS", 30.0, "days before a caller is looked up at the carrier again; 0: no lookups", ge=0
    )


class NumbersSettings(RequestSettings):
    """Buying and releasing numbers."""

    numbers_per_organization: int = setting(
        "HUM_NUMBERS_PER_ORGANIZATION", 100, "an organization that has so many numbers can't buy another", ge=0
    )
    numbers_bought_per_day: int = setting(
        "HUM_NUMBERS_BOUGHT_PER_DAY", 20, "numbers that one organization may buy in 24 hours", ge=0
    )

    carrier_look_seconds: float = setting(
        "HUM_CARRIER_LOOK_SECONDS",
        60.0,
        "seconds before an unanswered order is looked up at the carrier",
        gt=0,
    )


class ImportSettings(UploadSettings):
    """What becomes of files of contacts."""

    max_imports: int = setting("HUM_MAX_IMPORTS", 20, "unfinished imports of an organization", ge=1)
    import_rest: float = setting(
        "HUM_IMPORT_REST", 1.0, "rest of an import, as a multiple of the time it has worked", ge=0
    )
    import_stuck_seconds: float = setting(
        "HUM_IMPORT_STUCK_SECONDS", 3600.0, "idle seconds before an import fails", gt=0
    )


class WorkerSettings(DatabaseSettings):
    """Jobs, sweeps, readers."""

    sweep_seconds: float = setting("HUM_SWEEP_SECONDS", 10.0, "seconds between a worker's sweeps", gt=0)
    roll_up_seconds: float = setting("HUM_ROLL_UP_SECONDS", 2.0, "seconds between updates of the analytics", gt=0)
    worker_tasks: int = setting("HUM_WORKER_TASKS", 32, "jobs that one worker runs at once", ge=20)
    worker_nice: int = setting(
        "HUM_WORKER_NICE", 5, "how much lower than calls' a worker's CPU priority is", ge=0, le=19
    )
    worker_idle_seconds: float = setting(
        "HUM_WORKER_IDLE_SECONDS", 1.0, "seconds between polls of an idle worker", gt=0
    )
    step_retry_seconds: float = setting(
        "HUM_STEP_RETRY_SECONDS",
        60.0,
        "longest wait, in seconds, before a failing sweep or reader is retried; the wait doubles with each failure",
        gt=0,
    )
    job_attempts: int = setting(
        "HUM_JOB_ATTEMPTS", 5, "failed attempts after which a job is held for an operator", ge=1
    )
    job_retry_seconds: float = setting(
        "HUM_JOB_RETRY_SECONDS", 5.0, "seconds before a job's second attempt; doubles with each attempt", gt=0
    )
    job_heartbeat_seconds: float = setting(
        "HUM_JOB_HEARTBEAT_SECONDS", 30.0, "seconds without a heartbeat before another worker takes the job", gt=0
    )


class EgressSettings(Common):
    """Which networks customers' URLs may reach."""

    egress_allow: str = setting(
        "HUM_EGRESS_ALLOW",
        "",
        "networks (CIDR, comma-separated) that customers' URLs may reach in addition to the internet",
    )

    @field_validator("egress_allow")
    @classmethod
    def _only_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @property
    def egress_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return parse_networks(self.egress_allow)


class ControlSettings(
    Carrier, IdentitySettings, CallsSettings, NumbersSettings, EgressSettings, ImportSettings, WorkerSettings
):
    """`hum control` and `hum worker`: the settings of all features."""

    secret_keys: str = setting(
        "HUM_SECRET_KEYS",
        "",
        "not implemented: required in production, but seals nothing yet; version:base64key,... newest first; "
        "generated by `hum up` or `hum admin make-keys`",
    )
    carrier_seconds: float = setting("HUM_CARRIER_SECONDS", 10.0, "seconds to wait for the carrier's REST API", gt=0)
    model_seconds: float = setting("HUM_MODEL_SECONDS", 60.0, "seconds to wait for the model's REST API", gt=0)
    interpreted: bool = setting(
        "HUM_MEDIA_INTERPRETED", False, "interpret the media core even if it is compiled, to debug or compare"
    )
