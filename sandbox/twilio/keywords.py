"""Opt-out keywords, and the carrier's own replies to them.  Pure.

Source: Twilio's pages "Twilio support for opt-out keywords" and "Advanced Opt-Out": the word must be the whole message, in any
case.
"""

from typing import Literal

Kind = Literal["STOP", "START", "HELP"]

WORDS: dict[str, Kind] = {
    **dict.fromkeys(("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), "STOP"),
    **dict.fromkeys(("START", "YES", "UNSTOP"), "START"),
    **dict.fromkeys(("HELP", "INFO"), "HELP"),
}
ANSWERS: dict[Kind, str] = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


def keyword(body: str) -> Kind | None:
    """Return the kind of keyword that the whole message is, or None."""
    return WORDS.get(body.strip().upper())
