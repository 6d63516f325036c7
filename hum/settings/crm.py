"""CRM connectors."""

from hum.settings.base import Common, constant


class CrmSettings(Common):
    """Requests to customers' CRMs."""

    crm_connectors: int = constant(10, "CRM connectors that an organization may have", ge=1)
    crm_rivals_seconds: float = constant(
        0.3,
        "seconds that the answer of a CRM connector about a caller waits for those of the connectors before it",
        ge=0,
    )
    crm_text_seconds: float = constant(
        5.0,
        "seconds that the answer to a new contact's text waits for the CRM connectors",
        ge=0,
        le=60,
    )
    crm_inform_retry_seconds: float = constant(0.2, "seconds between attempts to tell a call's agent who calls", gt=0)
    crm_failures: int = constant(5, "failed requests in a row after which a CRM connector rests", ge=1)
