"""To whom a call may be transferred, what whoever answers hears, and what a dial's end means."""

import json
from typing import Any

import pytest

from control.base import phone
from control.livecall import nextsteps
from control.livecall.nextsteps import TakeMessage, Transfer
from control.tools import Situation
from control.transfers import transfertargets
from control.transfers.tool import offered
from control.transfers.transfertargets import Parties, TransferTarget
from control.transfers.whisper import NAME_CHARS, digits, whisper
from hum import ids

DESK, CALLER, OURS = "+13175550142", "+13175550199", "+13175550100"
SOMALIA, SATELLITE, FOLLOW_ME = "+252612345678", "+881612345678", "+447012345678"


def situation(**changes: Any) -> Situation:
    numbers = changes.pop("numbers", {"desk": DESK})
    known = {"to_e164": OURS, "from_e164": CALLER, "definition": {"transfer_map_json": json.dumps(numbers)}}
    return Situation(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({}, ["desk"]),
        ({"from_e164": "anonymous"}, ["desk"]),
        ({"is_open": False}, []),
        ({"origin": "browser"}, []),
        ({"has_carrier": False}, []),
        ({"transfers": 4}, ["desk"]),
        ({"transfers": 5}, []),
        ({"numbers": {"me": CALLER, "us": OURS}}, []),
        ({"numbers": {"flow": "flow_01HVN5J8Q0ZR4TB8M3C2Y7K6WD"}}, []),
        ({"numbers": {"hot": "+19005551234", "help": "+1911", "none": "+999", "desk": {"to": DESK}}}, ["desk"]),
        ({"numbers": {"far": SOMALIA, "space": {"to": SATELLITE}, "desk": DESK}}, ["desk"]),
        ({"numbers": {"far": SOMALIA}, "direction": "outbound", "from_e164": "+252612345670"}, ["far"]),  # its own
        ({"numbers": {"me": FOLLOW_ME, "desk": "+442079460958"}, "to_e164": "+442079460959"}, ["desk"]),
        ({"numbers": {"far": SOMALIA}, "from_e164": "", "to_e164": ""}, ["far"]),  # a trial's number is unknown
        ({"definition": {}}, []),
    ],
)
def test_who_is_offered(changes: dict[str, Any], labels: list[str]) -> None:
    assert list(offered(situation(**changes), frozenset())) == labels


def test_a_listed_country_is_offered() -> None:
    numbers = {"far": SOMALIA, "space": SATELLITE}
    assert list(offered(situation(numbers=numbers), frozenset({"SO"}))) == ["far"]
    assert list(offered(situation(numbers=numbers), frozenset({"*"}))) == ["far", "space"]


def test_an_entry_says_how_it_is_rung() -> None:
    entry = {"to": DESK, "accept_key": True, "timeout_seconds": 9, "unanswered": "voicemail"}
    assert offered(situation(numbers={"desk": entry}), frozenset()) == {
        "desk": TransferTarget(DESK, True, 9, "voicemail")
    }
    assert offered(situation(numbers={"desk": {"to": DESK}}), frozenset()) == {"desk": TransferTarget(DESK)}


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (DESK, None),
        ("+33153000000", None),  # begins like an emergency number of its country
        ("+19005551234", "costs"),
        ("+44112", "emergency"),
        ("+1911", "emergency"),
        ("+4990012345678", "not known"),
        ("+999", "not a phone number"),
    ],
)
def test_which_number_may_be_given(number: str, why: str | None) -> None:
    found = phone.bad_target(number)
    assert (found is None) if why is None else (found is not None and why in found)


def test_whose_number_the_person_sees() -> None:
    assert Parties.of("inbound", CALLER, OURS) == Parties(number_e164=OURS, peer_e164=CALLER)
    assert Parties.of("outbound", OURS, CALLER) == Parties(number_e164=OURS, peer_e164=CALLER)


@pytest.mark.parametrize(
    ("status", "bridged", "needs_key", "connected", "state"),
    [
        ("completed", True, True, True, "completed"),
        ("completed", True, True, False, "completed"),  # the key was told to a control that has lost it
        ("completed", False, True, True, "not_accepted"),
        ("completed", False, False, True, "not_accepted"),  # hung up in the whisper
        ("completed", None, True, False, "not_accepted"),
        ("completed", None, True, True, "completed"),
        ("answered", None, False, False, "completed"),
        ("busy", False, False, False, "busy"),
        ("no-answer", None, False, False, "no_answer"),
        ("canceled", None, False, False, "canceled"),
        ("failed", None, False, False, "failed"),
        ("", None, False, False, "failed"),
    ],
)
def test_what_a_dials_end_means(
    status: str, bridged: bool | None, needs_key: bool, connected: bool, state: str
) -> None:
    assert transfertargets.ended(status, bridged=bridged, needs_key=needs_key, connected=connected) == state


@pytest.mark.parametrize("language", [None, "en", "es-MX", "fr", "de-DE", "it", "pt-BR", "xx", "EN-us"])
def test_the_whisper_in_every_language(language: str | None) -> None:
    said = whisper(language, "From the clinic.", "Ada\n Lovelace", CALLER, "Is in\n\n a hurry.")
    assert said.text.startswith("From the clinic. ") and "Ada Lovelace" in said.text
    assert said.text.endswith(" Is in a hurry.") and "1" in said.prompt and "-" in said.language
    unnamed = whisper(language, None, None, CALLER, "")
    assert "3 1 7, 5 5 5, 0 1 9 9" in unnamed.text
    withheld = whisper(language, None, None, "anonymous", "")
    assert not any(each.isdigit() for each in withheld.text) and "{" not in withheld.text


def test_a_name_is_not_a_novel() -> None:
    assert len(whisper("en", None, "x" * 5_000, CALLER, "").text) < NAME_CHARS + 60
    assert digits("nonsense") is None


def test_what_is_owed_is_stored_and_read() -> None:
    mine = Transfer(ids.new(), DESK)
    assert nextsteps.decode(nextsteps.encode(mine)) == mine
    assert nextsteps.decode(nextsteps.encode(TakeMessage("unanswered"))) == TakeMessage("unanswered")
    for nonsense in (None, "{}", '{"type":"teleport"}', "null", "[", '{"type":"transfer","to_e164":"+1"}'):
        assert nextsteps.decode(nonsense) is None
    assert not nextsteps.is_due(mine, marked=False) and nextsteps.is_due(mine, marked=True)
    assert nextsteps.is_due(Transfer(ids.new(), DESK, asked_by="user:u"), marked=False)
    assert not nextsteps.is_due(None, marked=True) and not nextsteps.is_due(TakeMessage(), marked=False)
