"""What becomes of a recipient whose turn it is.  No I/O: rows in, decisions out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from control.base import phone
from control.texts import gate, segments, templates, writing
from control.texts.gate import Stop, Wait
from control.texts.rules import MEDIA_COUNTRIES
from control.texts.templates import Template
from storage.campaigns import CampaignRow, SenderRow
from storage.forecasts import LeftOut
from storage.messages import RulesRow
from storage.recipients import DueRow

MAX_BODY_CHARS = 1600


@dataclass(frozen=True, slots=True)
class Text:
    """Text the recipient now."""

    body: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not before then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Never:
    """Don't text the recipient, who has this status from now on."""

    status: str
    reason: str


def decide(
    campaign: CampaignRow, sender: SenderRow, due: DueRow, at: datetime, countries: frozenset[str]
) -> Text | Later | Never:
    """What to do about a recipient whose turn it is.  The number can send."""
    if (reason := _bad_contact(campaign, due, countries)) is not None:
        return Never("skipped", reason)
    facts = writing.facts(
        texting(sender, due.contact_e164, opted_out=due.opted_out),
        "campaign",
        campaign.honor_quiet_hours,
        None,
        campaign.expires_at,
    )
    match gate.decide(facts, at):
        case Stop("opted_out", reason):
            return Never("opted_out", reason)
        case Stop(_, reason):
            return Never("skipped", reason)
        case Wait(until, _):
            return Later(until)
    return text(campaign, sender, due)


def _bad_contact(campaign: CampaignRow, due: DueRow, countries: frozenset[str]) -> str | None:
    """Why a contact is not texted, whatever the time."""
    if due.blocked:
        return "blocked"
    if due.own:
        return "own_number"
    if due.untextable:
        return "untextable"
    if phone.is_emergency(due.contact_e164) or phone.costly_kind(due.contact_e164) is not None:
        return "costly_number"
    if not due.known and _is_foreign(campaign, due.contact_e164, countries):
        return "country"
    return "media_country" if _takes_no_media(campaign, due.contact_e164) else None


def _is_foreign(campaign: CampaignRow, contact_e164: str, countries: frozenset[str]) -> bool:
    assert campaign.number_e164 is not None, "the number can send"
    return phone.bad_country(contact_e164, campaign.number_e164, countries) is not None


def _takes_no_media(campaign: CampaignRow, contact_e164: str) -> bool:
    return bool(campaign.media_urls) and phone.country(contact_e164) not in MEDIA_COUNTRIES


def left_out(campaign: CampaignRow, examples: Iterable[str], countries: frozenset[str]) -> LeftOut:
    """Where nobody is texted, or nobody who has no conversation, by a number of each area."""
    known = list(examples)
    always = tuple(LeftOut.area(each) for each in known if _takes_no_media(campaign, each))
    return LeftOut(always, tuple(LeftOut.area(each) for each in known if _is_foreign(campaign, each, countries)))


def texting(sender: SenderRow, contact_e164: str, *, opted_out: bool) -> RulesRow:
    """What decides about a text to a contact in a conversation that will be open."""
    return RulesRow(
        time_zone=sender.time_zone,
        business_hours_json=sender.business_hours_json,
        quiet_hours_enabled=sender.quiet_hours_enabled,
        recipient_hours_enabled=sender.recipient_hours_enabled,
        closed=False,
        opted_out=opted_out,
        number_active=sender.number_active,
        sms_enabled=sender.sms_enabled,
        capabilities=sender.capabilities,
        account="",
        contact_e164=contact_e164,
    )


def text(campaign: CampaignRow, sender: SenderRow, due: DueRow) -> Text | Never:
    """The text for a recipient."""
    known = templates.values_of(
        name=due.contact_name,
        company=due.contact_company,
        email=due.contact_email,
        phone=due.contact_e164,
        organization=sender.org_name,
        number=campaign.number_e164 or "",
    )
    values = {**due.variables, **{name: value for name, value in known.items() if value}}
    rendered = templates.render(parsed(campaign.body_template if due.body is None else due.body), values)
    if rendered.missing:
        return Never("skipped", "missing_variable")
    if not rendered.text.strip() and not campaign.media_urls:
        return Never("skipped", "empty")
    if len(rendered.text) > MAX_BODY_CHARS:
        return Never("skipped", "too_long")
    return Text(rendered.text)


@lru_cache(maxsize=64)
def parsed(body: str) -> Template:
    """A text that was checked when it was given."""
    return templates.parse(body)


def segments_of(decision: Text | Never) -> int:
    """The segments that a text costs; one that is not sent costs none."""
    return segments.count(decision.body) if isinstance(decision, Text) else 0


def can_send(sender: SenderRow) -> bool:
    """Whether the campaign's number can send texts."""
    return bool(sender.number_active and sender.sms_enabled and "sms" in (sender.capabilities or ()))
