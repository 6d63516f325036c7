"""What control and its workers read about the database."""

from pydantic import field_validator

from hum.network import database_hosts
from hum.settings.base import Common, constant, setting


class DatabaseSettings(Common):
    """The database, as control uses it."""

    database_url: str = setting(
        "HUM_DATABASE_URL",
        "",
        "URL of PostgreSQL 15 or later, with all hosts that may be the primary (host1:5432,host2:5432), and not through a "
        "pooler; unset: an embedded one, under HUM_HOME",
    )
    database_app_url: str = setting(
        "HUM_DATABASE_APP_URL",
        "",
        "URL for transactions of one organization, through a pooler in transaction mode; its login has the role hum_app; "
        "unset: HUM_DATABASE_URL",
    )
    database_system_url: str = setting(
        "HUM_DATABASE_SYSTEM_URL", "", "the same for HUM's own transactions; its login has the role hum_system"
    )
    database_silent_seconds: float = constant(
        3.0,
        "seconds after which a connection counts as lost whose host acknowledges nothing (TCP_USER_TIMEOUT, keepalive)",
        ge=1,
        le=120,
    )
    pool_size: int = setting("HUM_DATABASE_POOL", 10, "database connections of this process", ge=2, le=200)
    calls_pool_size: int = constant(8, "more of them, for calls and webhooks alone", ge=2, le=200)
    statement_seconds: float = constant(15.0, "seconds before a statement is cancelled", gt=0)
    lock_seconds: float = constant(5.0, "seconds a statement waits for a lock before it fails", gt=0)
    database_retry_seconds: float = constant(
        1.0, "seconds between attempts to reconnect to an unavailable database", gt=0
    )

    @field_validator("database_url", "database_app_url", "database_system_url")
    @classmethod
    def _readable_hosts(cls, url: str) -> str:
        database_hosts(url)
        return url
