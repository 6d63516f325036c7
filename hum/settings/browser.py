"""Calls from browsers, which `hum media --browser` carries."""

from hum.settings.base import Common, constant, setting


class BrowserSettings(Common):
    """Settings only of a media process that takes calls from browsers."""

    ice_host: str = setting(
        "HUM_ICE_HOST",
        "",
        "address, or name of one, at which browsers reach this machine by UDP, the only one that they are told; unset: the "
        "machine's own that it reaches others from",
    )
    ice_servers: str = setting(
        "HUM_ICE_SERVERS",
        "",
        "servers through which browsers reach a machine that has no address of its own for them: `stun:host:port`, "
        "`turn:user:password@host:port`, comma-separated; unset: none, and addresses in offers are ignored; set: public ones are tried",
    )
    browser_calls: int = constant(12, "calls from browsers that one process, which has one core, carries", ge=1)
    browser_waiting: int = constant(6, "how many of these may be connecting at once; further offers are refused", ge=1)
    browser_connect_seconds: float = constant(
        6.0,
        "seconds that a browser has from its offer until its connection stands; less than `token_seconds`",
        gt=0,
    )
    browser_lost_seconds: float = constant(15.0, "seconds without an answer from a browser before its call ends", ge=3)
    browser_tail_ms: float = constant(
        300.0,
        "milliseconds before a browser's connection is closed, in which it plays what it was sent last",
        ge=0,
        le=900,
    )
