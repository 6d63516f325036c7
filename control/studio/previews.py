"""Previews: a sentence in a voice, business hours as instants, and a text as the carrier bills it."""

import asyncio
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from control.base import hours as opening
from control.base import phone, texttemplates
from control.base.texttemplates import BadTextTemplate
from control.base.wire import moment, timestamp
from control.clients.openai import ModelError, Synthesizer
from control.flows import contactwords
from control.flows.choices import Choices
from control.flows.definitions import usable_hours
from control.studio import limits
from control.studio.limits import ConcurrencyLimit
from control.studio.omissions import hours_mentions
from control.texts import quiethours, segments, writing
from control.usage import meters as usage_rules
from control.usage import otherentries as usage
from control.usage import pricetable
from control.usage.pricetable import Prices
from hum import ids, wave
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, Unavailable
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import ControlSettings
from hum.v1 import studio_pb2 as pb
from hum.v1 import usage_pb2
from storage import clips, identity, messages, sms_templates, studio
from storage.db import Db, Tx
from storage.messages import RulesRow

#: Hours that a rendered preview is kept.
STUDIO_PREVIEW_HOURS = 24.0

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # as in `control.clients.openai`
    import audioop

LOG = log(__name__)
SILENT = "The speech endpoint did not answer in time, or not usably. Try again."
#: Previews pruned per sweep.
BATCH = 1000
LONGEST_CHARS = 1600


class Voices:
    def __init__(
        self, db: Db, speech: Synthesizer, choices: Choices, concurrency: ConcurrencyLimit, settings: ControlSettings
    ) -> None:
        self._db, self._speech, self._choices = db, speech, choices
        self._concurrency, self._settings = concurrency, settings

    def all(self) -> list[pb.Voice]:
        names = dict.fromkeys(self._choices.voices)
        return [pb.Voice(name=name, is_default=name == self._choices.voices[0]) for name in names]

    async def synthesize(self, org: UUID, voice: str, text: str) -> bytes:
        """Render a sentence as a WAV.  Raises InvalidRequest, RateLimited, Unavailable."""
        voice, text = voice or self._choices.voices[0], text.strip()
        if voice not in self._choices.voices:
            names = ", ".join(dict.fromkeys(self._choices.voices))
            raise InvalidRequest([FieldError("voice", f"must be one of {names}")])
        with self._concurrency.slot(org):
            async with self._db.tenant(org) as tx:
                text = await _to_nobody_known(tx, org, text)
                hash = clips.clip_hash(voice, text)
                audio_ulaw = (await clips.find(tx, [hash])).get(hash) or await studio.preview(tx, hash)
                if audio_ulaw is None:
                    await limits.count_request(tx, limits.PREVIEW, self._settings.studio_previews_per_day)
            if audio_ulaw is None:
                audio_ulaw = await self._render(org, voice, text, hash)
        pcm = audioop.ulaw2lin(audio_ulaw, wave.SAMPLE_BYTES)
        return wave.header(len(pcm), 1) + pcm

    async def _render(self, org: UUID, voice: str, text: str, hash: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._settings.studio_seconds):
                audio_ulaw = await self._speech.synthesize(voice, text)
        except (ModelError, TimeoutError) as error:
            LOG.warning("could not render a preview of a voice", error=repr(error)[:300])
            raise Unavailable(SILENT) from error
        async with self._db.tenant(org) as tx:
            await studio.store_preview(tx, hash, audio_ulaw)
            await usage.record_speech(tx, org, None, self._speech.speech_model, len(audio_ulaw))
        return audio_ulaw

    async def prune(self) -> None:
        """Delete old previews."""
        async with self._db.system() as tx:
            await studio.prune_previews(tx, timedelta(hours=STUDIO_PREVIEW_HOURS), BATCH)


async def _to_nobody_known(tx: Tx, org: UUID, text: str) -> str:
    """Return a sentence as it is said to whom the agent does not know."""
    if "{{" not in text:
        return text
    values = {"org.name": (await identity.organization(tx, org)).name}
    return str(contactwords.personal({"greeting": text}, values)["greeting"])


# --- hours --------------------------------------------------------------------------------------------------------

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
#: The limit of the search for the next change.
AHEAD = timedelta(days=30)
DAYS = 7


async def hours(tx: Tx, org: UUID, request: pb.PreviewHoursRequest) -> pb.PreviewHoursResponse:
    """Preview business hours.  Raises InvalidRequest."""
    at = moment(request.at) if request.HasField("at") else now()
    if not FIRST <= at < LAST:
        raise InvalidRequest([FieldError("at", "is not between 2000 and 2100")])
    organization = await identity.organization(tx, org)
    in_force = request.business_hours_json or usable_hours(organization.business_hours_json)
    # In a thread, as hours may have 48 spans a day: too many to compute in an event loop that serves calls.
    return await asyncio.to_thread(_preview_hours, in_force, organization.time_zone, request.system_prompt, at)


def _preview_hours(hours_json: str | None, time_zone: str, system_prompt: str, at: datetime) -> pb.PreviewHoursResponse:
    if hours_json is None:
        return pb.PreviewHoursResponse(time_zone=time_zone, at=timestamp(at), is_open=True)
    week = opening.parse(hours_json, time_zone)
    is_open, until = opening.is_open(week, at), at + AHEAD
    change = opening.open_until([week], at, until) if is_open else opening.next_open(week, at)
    first, last = opening.days(week, at, DAYS)
    return pb.PreviewHoursResponse(
        time_zone=week.zone.key,
        at=timestamp(at),
        is_open=is_open,
        next_change_at=timestamp(change) if change is not None and change < until else None,
        spans=[
            pb.HoursSpan(
                date=opens.astimezone(week.zone).date().isoformat(),
                opens_at=timestamp(opens),
                closes_at=timestamp(closes),
            )
            for opens, closes in opening.spans(week, first, last)
        ],
        has_hours=True,
        mentions=hours_mentions(system_prompt, hours_json, at.astimezone(week.zone).date()),
    )


async def texting_hours(tx: Tx, org: UUID, request: pb.PreviewTextingHoursRequest) -> pb.PreviewTextingHoursResponse:
    """Preview the hours of texts to a contact.  Raises InvalidRequest, and NotFound for the conversation."""
    at = moment(request.at) if request.HasField("at") else now()
    if not FIRST <= at < LAST:
        raise InvalidRequest([FieldError("at", "is not between 2000 and 2100")])
    if request.HasField("conversation_id"):
        row = await messages.rules(tx, ids.require(Kind.CONVERSATION, request.conversation_id))
    elif request.HasField("contact_e164"):
        row = await messages.rules_for(tx, org, request.contact_e164)
    else:
        raise InvalidRequest([FieldError("contact_e164", "is required where there is no conversation")])
    return await asyncio.to_thread(_preview_texting_hours, row, at)


def _preview_texting_hours(row: RulesRow, at: datetime) -> pb.PreviewTextingHoursResponse:
    day = quiethours.of_recipient(row.contact_e164, row.time_zone)
    night = next((hours for hours in day if not opening.is_open(hours, at)), None)
    facts = writing.facts(row, "human", True, None, None)
    opens = quiethours.opening(facts.hours_at(at), at)
    is_open = opens is not None and opens.at == at
    return pb.PreviewTextingHoursResponse(
        is_open=is_open,
        opens_at=timestamp(opens.at) if opens is not None and not is_open else None,
        held_by=opens.held_by if opens is not None else None,
        contact_time_zone=(night or day[0]).zone.key if phone.time_zones(row.contact_e164) else None,
        is_day=night is None,
    )


# --- texts --------------------------------------------------------------------------------------------------------


async def sms(tx: Tx, request: pb.PreviewSmsRequest, prices: Prices) -> pb.PreviewSmsResponse:
    """Preview a text or a template.  Raises InvalidRequest, and NotFound for the conversation."""
    values: Mapping[str, str | None] = {}
    to_e164 = request.to_e164
    if request.HasField("conversation_id"):
        row = await sms_templates.values(tx, ids.require(Kind.CONVERSATION, request.conversation_id))
        values, to_e164 = texttemplates.values_of(**asdict(row)), to_e164 or row.phone
    body, missing = request.body, list[str]()
    if request.is_template:
        try:
            rendered = texttemplates.render(texttemplates.check(body), values)
        except BadTextTemplate as error:
            raise InvalidRequest([FieldError("body", str(error))]) from error
        body, missing = rendered.text[:LONGEST_CHARS], list(rendered.missing)
    count = segments.count(body)
    return pb.PreviewSmsResponse(
        body=body,
        characters=len(body),
        encoding=pb.SMS_ENCODING_GSM_7 if segments.is_gsm(body) else pb.SMS_ENCODING_UCS_2,
        segments=count,
        unusual_characters=dict.fromkeys(char for char in body if not segments.is_gsm(char)),
        missing=missing,
        cost=_cost(prices, to_e164, count),
    )


def _cost(prices: Prices, to_e164: str, count: int) -> usage_pb2.UsageCost | None:
    if not to_e164:
        return None
    price = prices.estimate(usage_rules.SEGMENTS_SENT, pricetable.country(to_e164), count, now().astimezone(UTC).date())
    return usage_pb2.UsageCost(amount=f"{price[0]:f}", currency=price[1]) if price else None
