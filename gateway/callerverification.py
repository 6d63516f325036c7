"""The verification of a caller's number, by what the carrier says of it (STIR/SHAKEN).  Pure."""

from hum.v1 import calls_pb2

#: The carrier's results (twilio.com/docs/voice/trusted-calling-with-shakenstir), without level and suffix.
PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"


def of(stir_verstat: str) -> "calls_pb2.CallerVerification.ValueType":
    """Return whether the network vouches for the caller's number, by the carrier's `StirVerstat`.

    Attestation C says where a call entered the network, and nothing of its number.
    """
    if stir_verstat.startswith(PASSED) and not stir_verstat.startswith(f"{PASSED}-C"):
        return calls_pb2.CALLER_VERIFICATION_PASSED
    if stir_verstat.startswith(FAILED):
        return calls_pb2.CALLER_VERIFICATION_FAILED
    return calls_pb2.CALLER_VERIFICATION_UNSPECIFIED
