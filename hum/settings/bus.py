"""The bus between control's processes."""

from urllib.parse import urlsplit

from pydantic import field_validator

from hum.settings.base import Common, constant, listed, setting

SCHEMES = ("nats", "tls")


class BusSettings(Common):
    """The bus over which control's processes notify one another."""

    bus_url: str = setting(
        "HUM_BUS_URL",
        "",
        "URLs of NATS servers, comma-separated: nats://user:password@host:4222, or tls://, which uses HUM_TLS_CA, HUM_TLS_CERT and "
        "HUM_TLS_KEY as gRPC does; unset: PostgreSQL's LISTEN and NOTIFY",
    )
    bus_retry_seconds: float = constant(
        0.5, "seconds between rounds of attempts to reach one of the NATS servers", gt=0
    )
    bus_ping_seconds: float = constant(1.0, "seconds between questions to the NATS server whether it is there", gt=0)
    bus_silent_seconds: float = constant(
        2.0,
        "seconds that a NATS server may owe an answer before the next one is tried",
        ge=1,
        le=60,
    )

    @field_validator("bus_url")
    @classmethod
    def _readable_servers(cls, urls: str) -> str:
        for url in listed(urls):
            parts = urlsplit(url)
            if parts.scheme not in SCHEMES or not parts.hostname or parts.path or parts.query:
                raise ValueError("a server of NATS is nats://host:4222 or tls://host:4222")
        return urls

    @property
    def bus_urls(self) -> tuple[str, ...]:
        return listed(self.bus_url)
