"""Delivery error codes as sentences.  Numeric codes are the carrier's (Twilio "Error and Warning Dictionary")."""

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "closed": "The conversation was closed before its time came.",
    "number_off": "The number can't send texts: it was given up, or its texts are off.",
    "no_number": "The contact is a name or a short code, which can't be texted.",
    "opted_out": "The contact has opted out.",
    "given_up": "A person has decided that it was not sent: the carrier did not tell.",
    "refused": "The carrier refused it without a reason.",
    "expired": "Its time passed before it could be sent.",
    "never_open": "The hours in which it may be sent never come.",
    "21211": "The number is not valid.",
    "21408": "The carrier account may not text this country.",
    "21606": "The number can't send texts.",
    "21610": "The contact has replied STOP: the carrier refuses texts to it.",
    "21611": "Too many texts wait at the carrier for this number.",
    "21612": "The carrier has no route from this number to the contact.",
    "21614": "The number is not a mobile one.",
    "21617": "The text is too long.",
    "30001": "The carrier's queue was full for too long.",
    "30002": "The carrier account is suspended.",
    "30003": "The handset is switched off or out of reach.",
    "30004": "The handset or its network blocks texts.",
    "30005": "The handset is unknown, or out of service.",
    "30006": "The number is a landline, or can't be reached by its carrier.",
    "30007": "The mobile carrier filtered it as unwanted.",
    "30008": "The mobile carrier gave no reason.",
    "30017": "The mobile carrier is congested.",
    "30034": "The number is not registered for business texts (10DLC).",
    "30036": "The time in which the carrier was to send it passed in its queue.",
}


def sentence(code: str) -> str:
    """Return the sentence for an error code; an unlisted one is shown as the carrier's."""
    return SENTENCES.get(code, f"The carrier's error {code}.")
