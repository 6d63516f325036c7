"""CRM connectors."""

from hum.settings.base import Common, setting


class CrmSettings(Common):
    """Requests to customers' CRMs."""

    crm_connectors: int = setting("HUM_CRM_CONNECTORS", 10, "CRM connectors that an organization may have", ge=1)
    crm_rivals_seconds: float = setting(
        "HUM_CRM_RIVALS_SECONDS",
        0.3,
        "seconds that the answer of a CRM connector about a caller waits for those of the connectors before it",
        ge=0,
    )
    crm_text_seconds: float = setting(
        "HUM_CRM_TEXT_SECONDS",
        5.0,
        "seconds that the answer to a new contact's text waits for the CRM connectors",
        ge=0,
        le=60,
    )
    crm_known_hours: float = setting(
        "HUM_CRM_KNOWN_HOURS",
        24.0,
        "hours in which a contact who texts is not looked up again in a CRM; who calls always is",
        gt=0,
    )
    crm_lookups: int = setting(
        "HUM_CRM_LOOKUPS", 200, "callers whom one process looks up in CRMs at once; more are not looked up", ge=0
    )
    crm_requests: int = setting(
        "HUM_CRM_REQUESTS", 8, "requests of one process to one CRM connector at once; more look-ups are left out", ge=1
    )
    crm_inform_seconds: float = setting(
        "HUM_CRM_INFORM_SECONDS",
        10.0,
        "seconds for which a call's agent is told who calls, until its media process has said that it knows",
        gt=0,
    )
    crm_inform_retry_seconds: float = setting(
        "HUM_CRM_INFORM_RETRY_SECONDS", 0.2, "seconds between attempts at that", gt=0
    )
    crm_failures: int = setting(
        "HUM_CRM_FAILURES", 5, "failed requests in a row after which a CRM connector rests", ge=1
    )
    crm_rest_seconds: float = setting(
        "HUM_CRM_REST_SECONDS", 30.0, "seconds that it rests at first; twice as long after each further failure", gt=0
    )
    crm_longest_rest_seconds: float = setting(
        "HUM_CRM_LONGEST_REST_SECONDS", 900.0, "seconds that a CRM connector rests at most", gt=0
    )
    crm_overlap_hours: float = setting(
        "HUM_CRM_OVERLAP_HOURS", 24.0, "hours in which a CRM connector's old secret is still tried", gt=0
    )
    crm_summary_seconds: float = setting(
        "HUM_CRM_SUMMARY_SECONDS",
        120.0,
        "seconds that the report of a call to a CRM waits for its summary; a call in which nobody spoke gets none",
        ge=0,
    )
    crm_look_seconds: float = setting(
        "HUM_CRM_LOOK_SECONDS", 1.0, "seconds between looks for what CRM connectors are to be told", gt=0, le=60
    )
    crm_retry_hours: float = setting(
        "HUM_CRM_RETRY_HOURS", 24.0, "hours for which a CRM connector is told again what it did not take", gt=0
    )
    crm_log_days: float = setting("HUM_CRM_LOG_DAYS", 30.0, "days for which requests to CRM connectors are kept", gt=0)
