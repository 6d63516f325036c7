"""The settings of `hum control` and `hum worker`, by feature."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import field_validator

from hum.process.network import parse_networks
from hum.settings.approvals import ApprovalSettings
from hum.settings.base import Carrier, Common, Model, UploadSettings, listed, setting
from hum.settings.billing import BillingSettings
from hum.settings.bus import BusSettings
from hum.settings.campaigns import CampaignSettings
from hum.settings.crm import CrmSettings
from hum.settings.database import DatabaseSettings
from hum.settings.eventagents import EventAgentSettings
from hum.settings.events import EventSettings
from hum.settings.httptools import HttpToolSettings
from hum.settings.inbox import InboxSettings
from hum.settings.knowledge import KnowledgeSettings
from hum.settings.mcp import McpSettings
from hum.settings.notifications import NotificationSettings
from hum.settings.recordings import RecordingSettings
from hum.settings.sends import SendsSettings
from hum.settings.studio import StudioSettings
from hum.settings.textagent import TextAgentSettings
from hum.settings.triggers import TriggerSettings
from hum.settings.webhooks import WebhookSettings

#: No account of the carrier is that fast.
MOST_CALLS_PER_SECOND = 1000.0


class RequestSettings(Common):
    """The boundary, through which every request to control passes."""

    control_listen: str = setting("HUM_CONTROL_LISTEN", "127.0.0.1:50051", "host:port on which control serves gRPC")
    control_shared: bool = setting(
        "HUM_CONTROL_SHARED", False, "whether several controls may listen on one port (SO_REUSEPORT), as successors do"
    )
    control_own_listen: str = setting(
        "HUM_CONTROL_OWN_LISTEN",
        "",
        "host:port on which this control process alone serves gRPC, for the sound of calls that people listen to; port 0: any "
        "free port; unset: the host of HUM_CONTROL_LISTEN and port 0",
    )
    control_own_address: str = setting(
        "HUM_CONTROL_OWN_ADDRESS",
        "",
        "host:port, or a host alone, at which media processes reach HUM_CONTROL_OWN_LISTEN; unset: its host, or this "
        "machine's name if that is a wildcard",
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
    """Calls at control."""

    outbound_countries: str = setting(
        "HUM_OUTBOUND_COUNTRIES",
        "",
        "countries (ISO 3166, comma-separated) that may be called besides the calling number's own; *: all",
    )
    token_seconds: int = setting("HUM_STREAM_TOKEN_SECONDS", 30, "seconds before an unused stream token expires", ge=1)
    max_calls_per_organization: int = setting(
        "HUM_MAX_CALLS_PER_ORGANIZATION", 200, "an organization's calls at once", ge=1
    )
    max_calls_per_caller: int = setting("HUM_MAX_CALLS_PER_CALLER", 10, "of these, calls by one caller", ge=1)
    recheck_seconds: float = setting(
        "HUM_STREAM_RECHECK_SECONDS",
        60.0,
        "seconds between checks of open streams: whether their credential has expired or their file was deleted",
        gt=0,
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
    listen_quiet_seconds: float = setting(
        "HUM_LISTEN_QUIET_SECONDS",
        1.0,
        "seconds without sound after which a listener is sent silence: between a call's streams, or before the first",
        gt=0,
    )
    command_seconds: float = setting(
        "HUM_COMMAND_SECONDS",
        3.0,
        "seconds to wait for a media process to carry out what a person asks of a call",
        gt=0,
    )
    room_seconds: float = setting(
        "HUM_ROOM_SECONDS", 2.0, "how long a caller waits for a media process that takes calls", ge=0
    )
    room_reply_seconds: float = setting(
        "HUM_ROOM_REPLY_SECONDS",
        1.0,
        "seconds before the gateway's patience ends at which a caller is told that there is no place",
        ge=0,
    )
    room_look_seconds: float = setting(
        "HUM_ROOM_LOOK_SECONDS", 0.25, "seconds between two looks for a place, while a caller waits for one", gt=0
    )
    settle_seconds: float = setting(
        "HUM_SETTLE_SECONDS", 1.5, "seconds that the carrier's `next` waits for the stream's last report", gt=0
    )
    browser_answer_seconds: float = setting(
        "HUM_BROWSER_ANSWER_SECONDS", 8.0, "seconds that a call from a browser waits for a media process's answer", gt=0
    )
    tool_seconds: float = setting("HUM_TOOL_SECONDS", 10.0, "seconds that a call waits for a tool's result", gt=0)
    transfer_ring_seconds: int = setting(
        "HUM_TRANSFER_RING_SECONDS",
        25,
        "seconds that a telephone rings to which a call is transferred, unless the flow says otherwise",
        ge=5,
        le=120,
    )
    transfer_key_seconds: int = setting(
        "HUM_TRANSFER_KEY_SECONDS",
        8,
        "seconds that whoever answers a transferred call has for the key that takes it, each of the two times it is asked for",
        ge=1,
        le=60,
    )
    lookup_days: float = setting(
        "HUM_LOOKUP_DAYS", 30.0, "days before a caller is looked up at the carrier again; 0: no lookups", ge=0
    )
    lookups_per_day: int = setting(
        "HUM_LOOKUPS_PER_DAY",
        1000,
        "callers and senders of texts that are looked up at the carrier for one organization in a day (UTC); others are not looked up",
        ge=0,
        le=100_000,
    )

    @property
    def countries(self) -> frozenset[str]:
        return frozenset(country.upper() for country in listed(self.outbound_countries))


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


class OutboundSettings(RequestSettings):
    """Outbound calls."""

    calls_per_second: float = setting(
        "HUM_CALLS_PER_SECOND", 1.0, "calls a second that are placed with each account of the carrier", gt=0, le=100
    )
    calls_per_second_of: str = setting(
        "HUM_CALLS_PER_SECOND_OF", "", "accounts with another pace, comma-separated: AC...=5"
    )
    outbound_per_day: int = setting(
        "HUM_OUTBOUND_PER_DAY", 1000, "outbound calls that an organization may order, and place, in 24 hours", ge=0
    )
    outbound_per_number: int = setting("HUM_OUTBOUND_PER_NUMBER", 20, "of these, calls ordered to one number", ge=0)
    outbound_live: int = setting(
        "HUM_OUTBOUND_LIVE", 100, "an organization's live calls at which no further one is placed for it", ge=1
    )
    outbound_patience_seconds: float = setting(
        "HUM_OUTBOUND_PATIENCE_SECONDS",
        6 * 3600.0,
        "seconds after its time in which a call may still be placed; later it fails",
        gt=0,
    )
    outbound_seconds: float = setting(
        "HUM_OUTBOUND_SECONDS", 0.25, "seconds between looks for calls to place", gt=0, le=60
    )
    outbound_pause_seconds: float = setting(
        "HUM_OUTBOUND_PAUSE_SECONDS", 1.0, "how long an organization at a limit is passed over", gt=0
    )
    outbound_width: int = setting(
        "HUM_OUTBOUND_WIDTH", 16, "calls that one worker asks the carrier for at once", ge=1, le=200
    )
    dial_retry_seconds: float = setting(
        "HUM_DIAL_RETRY_SECONDS", 5.0, "seconds before a carrier that can't be reached is asked for a call again", gt=0
    )
    ring_slack_seconds: float = setting(
        "HUM_RING_SLACK_SECONDS", 15.0, "how much longer than asked the carrier may let a call ring", ge=0
    )

    @field_validator("calls_per_second_of")
    @classmethod
    def _paces(cls, text: str) -> str:
        parse_paces(text)
        return text

    @property
    def account_paces(self) -> Mapping[str, float]:
        return parse_paces(self.calls_per_second_of)


def parse_paces(text: str) -> dict[str, float]:
    """Parse `AC1=5,AC2=2.5` into a dict.  Raises ValueError."""
    paces = {}
    for pair in listed(text):
        account, is_pair, pace = pair.partition("=")
        try:
            paces[account.strip()] = float(pace)
        except ValueError:
            is_pair = ""
        if not (account.strip() and is_pair and 0 < paces[account.strip()] <= MOST_CALLS_PER_SECOND):
            raise ValueError(f"{pair!r} is not an account and its calls per second, like AC...=5")
    return paces


class InboundTextSettings(Common):
    """Inbound texts."""

    keyword_replies: int = setting(
        "HUM_KEYWORD_REPLIES", 6, "of our own replies to keywords, the most that one conversation gets at once", ge=0
    )
    keyword_reply_seconds: float = setting(
        "HUM_KEYWORD_REPLY_SECONDS", 3600.0, "seconds within which HUM_KEYWORD_REPLIES are the most", gt=0
    )
    text_file_bytes: int = setting(
        "HUM_TEXT_FILE_BYTES", 8 << 20, "the largest file in a text that is kept", ge=1024, le=100 << 20
    )
    text_files_bytes: int = setting(
        "HUM_TEXT_FILES_BYTES", 24 << 20, "the most that is kept of all files in one text", ge=1024
    )
    text_file_hours: float = setting(
        "HUM_TEXT_FILE_HOURS", 24.0, "hours after which a file that the carrier does not hand over is given up", gt=0
    )


class ImportSettings(UploadSettings):
    """Imports of contacts from files."""

    max_imports: int = setting("HUM_MAX_IMPORTS", 20, "unfinished imports of an organization", ge=1)
    import_rest: float = setting(
        "HUM_IMPORT_REST", 1.0, "rest of an import, as a multiple of the time it has worked", ge=0
    )
    import_stuck_seconds: float = setting(
        "HUM_IMPORT_STUCK_SECONDS", 3600.0, "idle seconds before an import fails", gt=0
    )


class RetentionSettings(Common):
    """Deletion of data after its retention period."""

    retention_seconds: float = setting(
        "HUM_RETENTION_SECONDS", 300.0, "seconds between looks for what organizations no longer keep", gt=0
    )
    erase_rest: float = setting(
        "HUM_ERASE_REST", 1.0, "rest of a deletion, as a multiple of the time it has worked", ge=0
    )


class WorkerSettings(DatabaseSettings):
    """Jobs, sweeps, readers."""

    sweep_seconds: float = setting("HUM_SWEEP_SECONDS", 10.0, "seconds between a worker's sweeps", gt=0)
    certificate_look_seconds: float = setting(
        "HUM_CERTIFICATE_LOOK_SECONDS", 3600.0, "seconds between looks at the certificates of the public URLs", gt=0
    )
    certificate_answer_seconds: float = setting(
        "HUM_CERTIFICATE_ANSWER_SECONDS", 10.0, "seconds that such a look may take", gt=0
    )
    roll_up_seconds: float = setting("HUM_ROLL_UP_SECONDS", 2.0, "seconds between updates of the analytics", gt=0)
    prices: str = setting(
        "HUM_PRICES", "", "file with your prices of what calls and texts use; where it has none, list prices count"
    )
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
    """The networks that customers' URLs may reach."""

    egress_allow: str = setting(
        "HUM_EGRESS_ALLOW",
        "",
        "networks (CIDR, comma-separated) that customers' URLs may reach in addition to the internet",
    )
    egress_connections: int = setting(
        "HUM_EGRESS_CONNECTIONS", 512, "connections to customers' URLs of this process at once", ge=1
    )
    egress_organization_requests: int = setting(
        "HUM_EGRESS_ORGANIZATION_REQUESTS", 128, "requests of one organization to these at once; more wait", ge=1
    )
    egress_host_requests: int = setting(
        "HUM_EGRESS_HOST_REQUESTS", 64, "of these, to one host and port, which many organizations may use", ge=1
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
    Carrier,
    IdentitySettings,
    CallsSettings,
    NumbersSettings,
    InboundTextSettings,
    OutboundSettings,
    InboxSettings,
    TextAgentSettings,
    EventAgentSettings,
    EventSettings,
    CampaignSettings,
    BillingSettings,
    NotificationSettings,
    ApprovalSettings,
    CrmSettings,
    HttpToolSettings,
    McpSettings,
    EgressSettings,
    ImportSettings,
    KnowledgeSettings,
    RetentionSettings,
    SendsSettings,
    StudioSettings,
    TriggerSettings,
    BusSettings,
    WorkerSettings,
    WebhookSettings,
):
    """`hum control` and `hum worker`: the settings of all features."""

    secret_keys: str = setting(
        "HUM_SECRET_KEYS",
        "",
        "seal the secrets that customers entrust to us; required in production; version:base64key,... newest first; "
        "generated by `hum up` or `hum admin make-keys`",
    )
    carrier_seconds: float = setting("HUM_CARRIER_SECONDS", 10.0, "seconds to wait for the carrier's REST API", gt=0)
    carrier_connect_seconds: float = setting(
        "HUM_CARRIER_CONNECT_SECONDS",
        3.0,
        "seconds to wait for a connection to the carrier, at most half of HUM_CARRIER_SECONDS; what waited longer was not sent",
        gt=0,
    )
    media_seconds: float = setting(
        "HUM_MEDIA_FETCH_SECONDS", 20.0, "seconds to fetch a file of a text from the carrier", gt=0
    )
    model_seconds: float = setting("HUM_MODEL_SECONDS", 60.0, "seconds to wait for the model's REST API", gt=0)
    interpreted: bool = setting(
        "HUM_MEDIA_INTERPRETED", False, "interpret the media core even if it is compiled, to debug or compare"
    )
