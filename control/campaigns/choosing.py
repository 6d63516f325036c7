"""Decisions about recipients that are due.  No I/O: rows in, decisions out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from control.base import phone, texttemplates
from control.base.texttemplates import TextTemplate
from control.texts import segments, sendgate, writing
from control.texts.inboxchecks import MEDIA_COUNTRIES
from control.texts.sendgate import Stop, Wait
from storage.campaigns import CampaignRow, SenderRow
from storage.forecasts import Exclusions
from storage.messages import RulesRow
from storage.recipients import DueRecipientRow

MAX_BODY_CHARS = 1600


@dataclass(frozen=True, slots=True)
class SendCampaignText:
    """The decision to text the recipient now."""

    body: str


@dataclass(frozen=True, slots=True)
class DeferRecipient:
    """The decision to wait until a time."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """The decision not to text the recipient, with the recipient's final status and reason."""

    status: str
    reason: str


def decide(
    campaign: CampaignRow, sender: SenderRow, due: DueRecipientRow, at: datetime, countries: frozenset[str]
) -> SendCampaignText | DeferRecipient | Skip:
    """Decide about a recipient that is due, of a campaign with a number that can send."""
    if (reason := _bad_contact(campaign, due, countries)) is not None:
        return Skip("skipped", reason)
    facts = writing.facts(
        texting(sender, due.contact_e164, opted_out=due.opted_out),
        "campaign",
        campaign.honor_quiet_hours,
        None,
        campaign.expires_at,
    )
    match sendgate.decide_send(facts, at):
        case Stop("opted_out", reason):
            return Skip("opted_out", reason)
        case Stop(_, reason):
            return Skip("skipped", reason)
        case Wait(until, _):
            return DeferRecipient(until)
    return text(campaign, sender, due)


def _bad_contact(campaign: CampaignRow, due: DueRecipientRow, countries: frozenset[str]) -> str | None:
    """Return why a contact is not texted, independently of the time, or None."""
    if due.blocked:
        return "blocked"
    if due.own:
        return "own_number"
    if due.untextable:
        return "untextable"
    if phone.is_emergency(due.contact_e164):
        return "costly_number"
    if (kind := phone.refused_kind(due.contact_e164)) is not None:
        return "unknown_number" if kind == phone.UNKNOWN else "costly_number"
    if not due.known and _is_foreign(campaign, due.contact_e164, countries):
        return "country"
    return "media_country" if _takes_no_media(campaign, due.contact_e164) else None


def _is_foreign(campaign: CampaignRow, contact_e164: str, countries: frozenset[str]) -> bool:
    assert campaign.number_e164 is not None, "the number can send"
    return phone.bad_country(contact_e164, campaign.number_e164, countries) is not None


def _takes_no_media(campaign: CampaignRow, contact_e164: str) -> bool:
    return bool(campaign.media_urls) and phone.country(contact_e164) not in MEDIA_COUNTRIES


def left_out(campaign: CampaignRow, example_numbers: Iterable[str], countries: frozenset[str]) -> Exclusions:
    """Return the areas in which no contact is texted, and those in which only contacts with a conversation are.

    `example_numbers`: a number of each area.
    """
    numbers = list(example_numbers)
    always = tuple(Exclusions.area(number) for number in numbers if _takes_no_media(campaign, number))
    return Exclusions(
        always, tuple(Exclusions.area(number) for number in numbers if _is_foreign(campaign, number, countries))
    )


def texting(sender: SenderRow, contact_e164: str, *, opted_out: bool) -> RulesRow:
    """Return the facts that decide about a text to a contact, in a conversation that will be open."""
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
        last_inbound_at=None,
    )


def text(campaign: CampaignRow, sender: SenderRow, due: DueRecipientRow) -> SendCampaignText | Skip:
    """Render the text for a recipient, or decide to skip the recipient."""
    contact_values = texttemplates.values_of(
        name=due.contact_name,
        company=due.contact_company,
        email=due.contact_email,
        phone=due.contact_e164,
        organization=sender.org_name,
        number=campaign.number_e164 or "",
    )
    values = {**due.variables, **{name: value for name, value in contact_values.items() if value}}
    rendered = texttemplates.render(parsed(campaign.body_template if due.body is None else due.body), values)
    if rendered.missing:
        return Skip("skipped", "missing_variable")
    if not rendered.text.strip() and not campaign.media_urls:
        return Skip("skipped", "empty")
    if len(rendered.text) > MAX_BODY_CHARS:
        return Skip("skipped", "too_long")
    return SendCampaignText(rendered.text)


@lru_cache(maxsize=64)
def parsed(body: str) -> TextTemplate:
    """Parse a template that was validated when it was stored."""
    return texttemplates.parse(body)


def segments_of(decision: SendCampaignText | Skip) -> int:
    """Return the segments that a decision costs: 0 if the text is not sent."""
    return segments.count(decision.body) if isinstance(decision, SendCampaignText) else 0


def can_send(sender: SenderRow) -> bool:
    """Tell whether the campaign's number can send texts."""
    return bool(sender.number_active and sender.sms_enabled and "sms" in (sender.capabilities or ()))
