"""The settings of `hum control` and `hum worker`, by feature."""

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import field_validator

from hum.network import parse_networks
from hum.settings.approvals import ApprovalSettings
from hum.settings.base import (
    STAND_IN_KEY,
    CarrierSettings,
    Common,
    ModelSettings,
    UploadSettings,
    constant,
    listed,
    setting,
)
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
from hum.settings.paces import PaceTable, parse_paces
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
    idempotency_hours: float = constant(24.0, "hours before an Idempotency-Key expires", gt=0)
    rate_per_second: float = constant(50.0, "requests per second that one credential may make, on average", gt=0)
    rate_burst: int = constant(200, "requests that one credential may make at once", ge=1)
    organization_rate_per_second: float = constant(
        150.0,
        "requests per second that one organization may make, on average",
        gt=0,
    )
    organization_rate_burst: int = constant(600, "requests that one organization may make at once", ge=1)
    unknown_rate_per_second: float = constant(
        2.0,
        "sign-in steps, and requests with an unknown credential, per second from one address, on average",
        gt=0,
    )
    unknown_rate_burst: int = constant(
        60,
        "sign-in steps, and requests with an unknown credential, at once from one address",
        ge=1,
    )
    streams_per_credential: int = constant(
        20, "event streams and downloads that one credential may have open at once", ge=1
    )
    streams_per_organization: int = constant(
        100,
        "event streams and downloads that one organization may have open at once",
        ge=1,
    )
    organization_requests: int = constant(4, "simultaneous requests of an organization", ge=1)
    organization_wait_seconds: float = constant(2.0, "how long further ones wait", gt=0)
    drain_seconds: float = setting(
        "HUM_DRAIN_SECONDS",
        3600.0,
        "seconds that calls and requests may continue after SIGTERM; control's streams end at once",
        ge=0,
    )


class IdentitySettings(Common):
    """Sign-in, sessions, invitations."""

    linking_seconds: float = constant(
        900.0, "seconds after a sign-in in which the person may link another account", gt=0
    )
    onboarding: Literal["open", "approval", "closed"] | None = setting(
        "HUM_ONBOARDING",
        None,
        "who may make organizations: everybody (open), whom a site admin approves (approval), nobody (closed); "
        "unset: open in development, approval in production",
    )
    organizations_per_person: int = constant(5, "organizations that one person may make or ask for", ge=0)
    trust_email: bool = setting(
        "HUM_OIDC_TRUST_EMAIL", False, "treat the issuer's e-mail addresses as verified even without `email_verified`"
    )

    @property
    def onboarding_mode(self) -> Literal["open", "approval", "closed"]:
        return self.onboarding or ("approval" if self.production else "open")


class CallsSettings(ModelSettings, RecordingSettings):
    """Calls at control."""

    outbound_countries: str = setting(
        "HUM_OUTBOUND_COUNTRIES",
        "",
        "countries (ISO 3166, comma-separated) that may be called besides the calling number's own; *: all",
    )
    token_seconds: int = constant(30, "seconds before an unused stream token expires", ge=1)
    max_calls_per_organization: int = setting(
        "HUM_MAX_CALLS_PER_ORGANIZATION", 200, "an organization's calls at once", ge=1
    )
    max_calls_per_caller: int = constant(10, "an organization's calls at once that are by one caller", ge=1)
    recheck_seconds: float = constant(
        60.0,
        "seconds between checks of open streams: whether their credential has expired or their file was deleted",
        gt=0,
    )
    link_lost_seconds: float = constant(30.0, "seconds before a call whose media link is lost is closed", gt=0)
    link_silent_seconds: float = constant(10.0, "a media process that says nothing for so long counts as gone", gt=0)
    command_seconds: float = constant(
        3.0,
        "seconds to wait for a media process to carry out what a person asks of a call",
        gt=0,
    )
    room_seconds: float = constant(2.0, "how long a caller waits for a media process that takes calls", ge=0)
    settle_seconds: float = constant(1.5, "seconds that the carrier's `next` waits for the stream's last report", gt=0)
    browser_answer_seconds: float = constant(
        8.0, "seconds that a call from a browser waits for a media process's answer", gt=0
    )
    tool_seconds: float = constant(10.0, "seconds that a call waits for a tool's result", gt=0)
    lookup_days: float = constant(30.0, "days before a caller is looked up at the carrier again; 0: no lookups", ge=0)
    lookups_per_day: int = constant(
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

    numbers_per_organization: int = constant(100, "an organization that has so many numbers can't buy another", ge=0)
    numbers_bought_per_day: int = constant(20, "numbers that one organization may buy in 24 hours", ge=0)

    carrier_look_seconds: float = constant(
        60.0,
        "seconds before an unanswered order is looked up at the carrier",
        gt=0,
    )


class OutboundSettings(RequestSettings):
    """Outbound calls."""

    calls_per_second: str = setting(
        "HUM_CALLS_PER_SECOND",
        "1",
        "calls a second that are placed with each account of the carrier; accounts with another pace after it: 1,AC...=5",
    )
    outbound_per_day: int = constant(
        1000, "outbound calls that an organization may order, and place, in 24 hours", ge=0
    )
    outbound_per_number: int = constant(
        20,
        "outbound calls that an organization may order to one number, and times that it is called, in 24 hours",
        ge=0,
    )
    ring_slack_seconds: float = constant(15.0, "how much longer than asked the carrier may let a call ring", ge=0)

    @field_validator("calls_per_second")
    @classmethod
    def _paces(cls, text: str) -> str:
        parse_paces(text, MOST_CALLS_PER_SECOND)
        return text

    @property
    def account_paces(self) -> PaceTable:
        return parse_paces(self.calls_per_second, MOST_CALLS_PER_SECOND)


class InboundTextSettings(Common):
    """Inbound texts."""

    keyword_replies: int = constant(
        6, "of our own replies to keywords, the most that one conversation gets at once", ge=0
    )


class ImportSettings(UploadSettings):
    """Imports of contacts from files."""

    import_rest: float = constant(1.0, "rest of an import, as a multiple of the time it has worked", ge=0)
    import_stuck_seconds: float = constant(3600.0, "idle seconds before an import fails", gt=0)


class RetentionSettings(Common):
    """Deletion of data after its retention period."""

    retention_seconds: float = constant(300.0, "seconds between looks for what organizations no longer keep", gt=0)
    erase_rest: float = constant(1.0, "rest of a deletion, as a multiple of the time it has worked", ge=0)


class WorkerSettings(DatabaseSettings):
    """Jobs, sweeps, readers."""

    sweep_seconds: float = constant(10.0, "seconds between a worker's sweeps", gt=0)
    roll_up_seconds: float = constant(2.0, "seconds between updates of the analytics", gt=0)
    prices: str = setting(
        "HUM_PRICES", "", "file with your prices of what calls and texts use; where it has none, list prices count"
    )
    worker_idle_seconds: float = constant(
        30.0, "seconds between polls of the queue by an idle worker, which new jobs' notifications wake", gt=0
    )
    step_retry_seconds: float = constant(
        60.0,
        "longest wait, in seconds, before a failing sweep or reader is retried; the wait doubles with each failure",
        gt=0,
    )
    job_attempts: int = constant(5, "failed attempts after which a job is held for an operator", ge=1)
    job_retry_seconds: float = constant(5.0, "seconds before a job's second attempt; doubles with each attempt", gt=0)
    job_heartbeat_seconds: float = constant(
        30.0, "seconds without a heartbeat before another worker takes the job", gt=0
    )


class EgressSettings(Common):
    """The networks that customers' URLs may reach."""

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
    CarrierSettings,
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
    carrier_seconds: float = constant(10.0, "seconds to wait for the carrier's REST API", gt=0)
    carrier_connect_seconds: float = constant(
        3.0,
        "seconds to wait for a connection to the carrier, at most half of `carrier_seconds`; what waited longer was not sent",
        gt=0,
    )
    media_seconds: float = constant(20.0, "seconds to fetch a file of a text from the carrier", gt=0)
    interpreted: bool = setting(
        "HUM_MEDIA_INTERPRETED", False, "interpret the media core even if it is compiled, to debug or compare"
    )

    @property
    def stand_ins(self) -> list[str]:
        """The outside systems in whose place stand-ins run, as the contract names them."""
        is_practice = self.openai_api_key.startswith(STAND_IN_KEY)
        return [*([] if self.has_real_carrier else ["carrier"]), *(["model"] if is_practice else [])]
