"""What is read in a description, and what of it an agent lacks."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.studio import mentions
from control.studio.hourmentions import ClosedDays, Interval
from control.studio.mentions import Amount, Days, Mention, PhoneNumber, SpokenLanguage
from control.studio.omissions import hours_mentions, omissions
from hum.v1 import flows_pb2
from hum.v1 import studio_pb2 as pb

TODAY = date(2026, 12, 2)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
MORNING, AFTERNOON = ["08:00", "12:00"], ["13:00", "17:00"]
LUNCH = {day: [MORNING, AFTERNOON] for day in WEEKDAYS}
NINE_TO_FIVE = {day: [["09:00", "17:00"]] for day in WEEKDAYS}


def shown(mention: Mention) -> str:
    """A mention in short: what was read, and where it belongs."""
    match mention:
        case Interval():
            return f"{','.join(mention.days) or '-'} {min(mention.opens)}-{max(mention.closes)}"
        case ClosedDays():
            return f"closed {','.join(mention.days)}"
        case Days():
            named = ",".join(f"{day:%m-%d}" if not mention.has_year else day.isoformat() for day in mention.dates)
            return f"{'closed ' if mention.is_closed else ''}{named}"
        case PhoneNumber():
            return f"{'to ' if mention.is_transfer else ''}{mention.number}"
        case Amount():
            return f"${mention.value}"
        case SpokenLanguage():
            return mention.code


def flow(weekly: Any = None, holidays: Any = (), transfers: Any = None) -> flows_pb2.Flow:
    hours = json.dumps({"weekly": weekly, "holidays": list(holidays)}) if weekly else None
    return flows_pb2.Flow(
        business_hours_json=hours, transfer_map_json=json.dumps(transfers) if transfers is not None else None
    )


def flagged(description: str, made: flows_pb2.Flow, *texts: str) -> list[tuple[str, str]]:
    told = flows_pb2.Flow(system_prompt="\n".join(texts))
    told.MergeFrom(made)
    found = omissions(description, told, None, TODAY)
    return [(pb.OmissionKind.Name(each.kind).removeprefix("OMISSION_KIND_").lower(), each.text) for each in found]


CLINIC = "8am to 12pm and 1pm to 5pm, Monday to Friday, closed December 25"
WEEK = "mon,tue,wed,thu,fri"
TABLE: list[tuple[str, list[str], flows_pb2.Flow, list[tuple[str, str]]]] = [
    (CLINIC, ["closed 12-25", f"{WEEK} 08:00-12:00", f"{WEEK} 13:00-17:00"], flow(LUNCH, ["2026-12-25"]), []),
    (
        CLINIC,
        ["closed 12-25", f"{WEEK} 08:00-12:00", f"{WEEK} 13:00-17:00"],
        flow({day: [MORNING] for day in WEEKDAYS}),
        [("day", "December 25"), ("hours", "1pm to 5pm")],
    ),
    (
        CLINIC,
        ["closed 12-25", f"{WEEK} 08:00-12:00", f"{WEEK} 13:00-17:00"],
        flow({day: [["08:00", "17:00"]] for day in WEEKDAYS}, ["2026-12-25"]),
        [("hours", "8am to 12pm"), ("hours", "1pm to 5pm")],
    ),
    (
        "Open Monday to Friday 8 to 5, Saturday 9 to noon.",
        [f"{WEEK} 08:00-17:00", "sat 09:00-12:00"],
        flow({day: [["08:00", "17:00"]] for day in WEEKDAYS}),
        [("hours", "9 to noon")],
    ),
    ("Open 9-5, closed Wednesdays.", ["closed wed", "- 09:00-17:00"], flow(NINE_TO_FIVE), [("closed_weekday", "closed Wednesdays")]),
    ("Saturday and Sunday: closed. Weekdays 9 to 5.", ["closed sat,sun", f"{WEEK} 09:00-17:00"], flow(NINE_TO_FIVE), []),
    ("Open 9 to 5 on weekdays, weekends closed.", ["closed sat,sun", f"{WEEK} 09:00-17:00"], flow(NINE_TO_FIVE), []),
    ("8 to 12 Monday to Friday, Saturday 9 to 11", [f"{WEEK} 08:00-24:00", "sat 09:00-23:00"], flow({day: [MORNING] for day in WEEKDAYS}), [("hours", "9 to 11")]),
    ("Open weekdays 8 to 5, closed for lunch from 12 to 1.", [f"{WEEK} 08:00-17:00", f"{WEEK} 00:00-13:00"], flow(LUNCH), []),
    ("Open weekdays 8 to 5, closed for lunch from 12 to 1.", [f"{WEEK} 08:00-17:00", f"{WEEK} 00:00-13:00"], flow({"mon": [MORNING, AFTERNOON]}), [("hours", "8 to 5"), ("hours", "12 to 1")]),
    ("Open weekdays 8 to 5, closed for lunch from 11 to 1.", [f"{WEEK} 08:00-17:00", f"{WEEK} 11:00-13:00"], flow(LUNCH), [("hours", "8 to 5"), ("hours", "11 to 1")]),
    ("Lunch break 12pm to 1pm.", ["- 12:00-13:00"], flow(LUNCH), []),
    ("Lunch break 12pm to 1pm.", ["- 12:00-13:00"], flow(NINE_TO_FIVE), [("hours", "12pm to 1pm")]),
    ("Between 9 am and 5 pm every weekday.", [f"{WEEK} 09:00-17:00"], flow(NINE_TO_FIVE), []),
    ("Monday 22:00 - 06:00", ["mon 22:00-06:00"], flow({"mon": [["22:00", "06:00"]]}), []),
    ("Closed Christmas Eve, New Year's Day and Thanksgiving.", ["closed 12-24", "closed 01-01", "closed 2027-11-25"], flow(NINE_TO_FIVE, ["2026-12-24", "2027-01-01"]), [("day", "Thanksgiving")]),
    ("Closed Dec 24 to 26, July 4th.", ["closed 12-24,12-25,12-26", "closed 07-04"], flow(NINE_TO_FIVE, ["2026-12-24", "2026-12-25", "2027-07-04"]), [("day", "Dec 24 to 26")]),
    ("Closed 12/25/2027 and 1/1.", ["closed 2027-12-25", "closed 01-01"], flow(NINE_TO_FIVE, ["2026-12-25", "2027-01-01"]), [("day", "12/25/2027")]),
    ("Closed December 25 and 12/26.", ["closed 12-25", "closed 12-26"], flow(NINE_TO_FIVE, ["2026-12-25"]), [("day", "12/26")]),
    ("We moved on 3 March 2020.", ["2020-03-03"], flow(), [("day", "3 March 2020")]),
    ("Dr. Lee +1 317 555 0142, billing: 317-555-0188", ["+13175550142", "3175550188"], flow(transfers={"Dr. Lee": "+13175550142"}), [("phone_number", "317-555-0188")]),
    ("Transfer emergencies to 317-555-0188.", ["to 3175550188"], flow(transfers={"Dr. Lee": {"to": "+13175550188"}}), []),
    ("A cleaning is $120, whitening $1,200.50 or 90 euros.", ["$120", "$1200.5", "$90"], flow(), [("amount", "$120"), ("amount", "$1,200.50"), ("amount", "90 euros")]),
    (
        "Abre de lunes a viernes de 8 a 12 y de 13 a 17. Cerrado el 25 de diciembre, domingos cerrado. Limpieza 60 €.",
        [f"{WEEK} 08:00-24:00", f"{WEEK} 13:00-17:00", "closed 12-25", "closed sun", "$60"],
        flow(LUNCH),
        [("day", "25 de diciembre"), ("amount", "60 €")],
    ),
    ("Visits take 2 to 3 weeks, ages 5 to 12, 24/7 hotline, room 8-12, open 10% more.", [], flow(), []),
    ("Open Monday to Friday. We are 12 people since 1998; zip 46204.", [], flow(), []),
    ("", [], flow(), []),
]  # fmt: skip


@pytest.mark.parametrize(("description", "read", "made", "missing"), TABLE)
def test_what_is_read_and_what_is_flagged(
    description: str, read: list[str], made: flows_pb2.Flow, missing: list[tuple[str, str]]
) -> None:
    assert [shown(mention) for mention in mentions.read(description, TODAY)] == read
    assert flagged(description, made) == missing


@pytest.mark.parametrize(
    ("description", "texts", "missing"),
    [
        ("Our number is 317-555-0100.", ["Callers reach us at +1 317 555 0100."], []),
        ("Transfer billing to 317-555-0188.", ["Billing is 317-555-0188."], [("phone_number", "317-555-0188")]),
        ("A cleaning is $1,200.", ["It costs 1200 dollars."], []),
        ("Blood draws 8am to 10am.", ["Blood is drawn from 8 am to 10 am."], []),
        ("Open 8am to 10am.", ["Open 8am to 10am."], [("hours", "8am to 10am")]),
        ("The fair is on May 3.", ["On 3 May there is a fair."], []),
        ("Closed on May 3.", ["Closed on May 3."], [("day", "May 3")]),
    ],
)
def test_texts_hold_what_is_no_hours_and_no_transfer(
    description: str, texts: list[str], missing: list[tuple[str, str]]
) -> None:
    assert flagged(description, flow(), *texts) == missing


def test_the_organizations_hours_are_those_of_a_flow_without() -> None:
    hours = json.dumps({"weekly": LUNCH, "holidays": ["2026-12-25"]})
    assert omissions(CLINIC, flow(), hours, TODAY) == []
    assert len(omissions(CLINIC, flow({"sat": [MORNING]}), hours, TODAY)) == 3


@pytest.mark.parametrize(
    ("instructions", "said"),
    [
        ("You answer for a dentist. A cleaning is $120 and takes 2 hours.", []),
        ("Open Monday to Friday 8 to 5.", [("8 to 5", False)]),
        ("Open Monday to Friday 8 to 5 with a lunch break from 12 to 1.", [("8 to 5", True), ("12 to 1", True)]),
        ("We open Monday 8 to 12. On Saturdays we open 8 to 12.", [("8 to 12", False)]),
        ("Closed on Saturday and on December 25.", [("December 25", True), ("Closed on Saturday", True)]),
        ("Closed on Fridays and on May 3.", [("May 3", False), ("Closed on Fridays", False)]),
        ("Abre de lunes a viernes de 9 a 17.", [("9 a 17", False)]),
        ("The fair is on May 3.", []),
    ],
)
def test_instructions_that_say_hours_besides_those_in_force_are_found(instructions: str, said: list[Any]) -> None:
    hours = json.dumps({"weekly": LUNCH, "holidays": ["2026-12-25"]})
    assert [(each.text, each.is_same) for each in hours_mentions(instructions, hours, TODAY)] == said
    assert hours_mentions(instructions, None, TODAY) == [], "they are the only ones"


def test_what_is_flagged_is_bounded_and_each_once() -> None:
    amounts = " ".join(f"${n}" for n in range(100, 200))
    assert len(flagged(amounts, flow())) == 30
    assert flagged("$120, and $120 again", flow()) == [("amount", "$120")]


WORDS = st.sampled_from(
    "mon to friday - 8 12 8am 5pm noon closed open and , . : ( 24/7 12/25 december 25 2026 until al de 13 h $ 5 +1 317 555 0142 ' y el".split()
)


@given(st.lists(WORDS, max_size=200).map(" ".join) | st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    for mention in mentions.read(text, TODAY):
        assert mention.text.strip() and "\0" not in mention.text
    flagged(text, flow(LUNCH, ["2026-12-25"], {"a": "+13175550142"}), text)


@pytest.mark.parametrize(
    ("described", "language", "missing"),
    [
        ("We are a dentist; we also speak Spanish.", "en-US", ["Spanish"]),
        ("We speak English, Spanish and Vietnamese.", "en-US", ["Spanish", "Vietnamese"]),
        ("Hablamos español e inglés.", "es-ES", ["inglés"]),
        ("Bilingual staff, English and French.", "", ["French"]),
        ("We speak English.", "en-GB", []),
        ("A Spanish restaurant with French wines.", "en-US", []),
    ],
)
def test_languages_that_the_agent_does_not_speak_are_named(described: str, language: str, missing: list[str]) -> None:
    flow = flows_pb2.Flow(system_prompt=described, language=language)
    listed = omissions(described, flow, None, TODAY)
    assert [each.text for each in listed if each.kind == pb.OMISSION_KIND_LANGUAGE] == missing
