"""The settings of `hum gateway`."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import field_validator

from hum.network import parse_networks
from hum.settings.base import CarrierSettings, Common, UploadSettings, constant, setting
from hum.settings.billing import StripeWebhookSettings
from hum.settings.mcpserver import McpServerSettings


class PublicSocketSettings(Common):
    """The gateway's public socket: limits on concurrent clients, and on the time of each."""

    max_connections: int = constant(
        900,
        "open connections; at the limit, a new one replaces the one that has waited longest without a complete request",
        ge=10,
    )
    carrier_connections: int = constant(
        200, "how many of `max_connections` are reserved for the carrier's webhooks", ge=1
    )
    connections_per_address: int = constant(
        100,
        "requests in progress from one address, and connections from it without a complete request",
        ge=1,
    )
    trusted_proxies: str = setting(
        "HUM_TRUSTED_PROXIES",
        "127.0.0.0/8,::1/128",
        "networks (CIDR, comma-separated) of the proxies whose X-Forwarded-For is trusted",
    )
    head_seconds: float = constant(10.0, "seconds within which a request's head must arrive", gt=0)
    body_seconds: float = constant(30.0, "seconds within which a request's body must arrive", gt=0)
    send_seconds: float = constant(30.0, "seconds before a client that stopped reading is disconnected", gt=0)
    body_bytes: int = constant(1 << 20, "bytes of the largest request body that is accepted", ge=1024)
    bodies_bytes: int = constant(64 << 20, "bytes of all incomplete request bodies together", ge=1024)
    bodies_bytes_per_address: int = constant(
        16 << 20,
        "bytes of the incomplete request bodies from one address; at least `body_bytes` and `import_bytes`",
        ge=1024,
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _valid_proxies(cls, text: str) -> str:
        parse_networks(text)
        return text

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return parse_networks(self.trusted_proxies)


class GatewaySettings(CarrierSettings, PublicSocketSettings, StripeWebhookSettings, UploadSettings, McpServerSettings):
    """`hum gateway`."""

    gateway_listen: str = setting(
        "HUM_GATEWAY_LISTEN",
        "127.0.0.1:8080",
        "host:port on which the gateway serves HTTP; `fd:N`: socket N, inherited",
    )
    console_dir: Path | None = constant(
        None,
        "the built web console; unset: the one that the gateway was installed with.  Where there is none, `/` is a plain page",
    )
    gateway_workers: int = setting(
        "HUM_GATEWAY_WORKERS",
        2,
        "gateway processes that share the socket: while one is restarted, the others answer",
        ge=1,
    )
    oidc_issuer: str = setting("HUM_OIDC_ISSUER", "", "OpenID Connect issuer, https://...; unset: nobody can sign in")
    oidc_client_id: str = setting("HUM_OIDC_CLIENT_ID", "", "client id at the issuer")
    oidc_client_secret: str = setting(
        "HUM_OIDC_CLIENT_SECRET", "", "client secret at the issuer; unset: a public client"
    )
    oidc_keys_seconds: float = constant(
        30.0, "minimum seconds between fetches of the issuer's keys for an unknown key", ge=0
    )
    control_seconds: float = constant(10.0, "seconds to wait for a response from control", gt=0)
    ingress_seconds: float = constant(4.0, "seconds to wait for control when the carrier calls a webhook", gt=0)
    ingress_retry_seconds: float = constant(0.25, "seconds between attempts to ask a control that is away", gt=0)
    postponed_webhooks: int = constant(10_000, "webhooks that a gateway keeps on disk while control is away", ge=1)
    postponed_retry_seconds: float = constant(1.0, "seconds between attempts to tell control of those", gt=0)
    heartbeat_seconds: float = constant(15.0, "seconds between comments in idle event streams", gt=0)
    drain_seconds: float = setting(
        "HUM_DRAIN_SECONDS", 3600.0, "seconds that requests may continue after SIGTERM", ge=0
    )
    linger_seconds: float = constant(
        1.0,
        "seconds that whoever is connected already has for a last request during a drain",
        ge=0,
    )

    @property
    def postponed_dir(self) -> Path:
        return self.home / "webhooks"
