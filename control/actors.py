"""The names of principals in the audit log and in rows that record who acted."""

from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind


def actor(principal: Principal) -> str:
    """Return the principal's name in the audit log: `key:<id>` or `user:<id>`."""
    if principal.key_id is not None:
        return f"key:{ids.show(Kind.API_KEY, principal.key_id)}"
    assert principal.user_id is not None, "a principal is a key or a person"
    return f"user:{ids.show(Kind.USER, principal.user_id)}"
