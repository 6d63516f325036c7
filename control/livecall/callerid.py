"""Whether a caller ID may be trusted.  Pure."""

#: The calling code of the countries whose carriers sign caller IDs (STIR/SHAKEN).
SIGNING_CODE = "+1"


def is_vouched_for(verification: str | None, direction: str, from_e164: str, to_e164: str) -> bool:
    """Tell whether what is known of the other party's number may be told to the agent.

    A number of ours has called it, or the network vouches for the caller ID.  Without a verdict, it does so only
    where none can be: neither number is of a country whose carriers sign.
    """
    if direction == "outbound" or verification is not None:
        return verification != "failed"
    return not from_e164.startswith(SIGNING_CODE) and not to_e164.startswith(SIGNING_CODE)
