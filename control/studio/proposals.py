"""Proposals: the model writes a flow from a description and a page; it is validated as if a person had created it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from control.base.egress import EgressError
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.clients.http import GuardedClient
from control.clients.openai import ModelError, ModelUsage, Writer
from control.flows import usecases as flow_usecases
from control.flows.choices import Choices
from control.flows.definitions import usable_hours
from control.knowledge import formats as knowledge_rules
from control.knowledge.converter import Unreadable
from control.knowledge.converting import Converter
from control.studio import drafts, limits
from control.studio.drafts import FlowDraft, ProposalRequest
from control.studio.limits import ConcurrencyLimit
from control.studio.omissions import hours_mentions, omissions
from control.usage import otherentries as usage
from hum.clock import now
from hum.contract import validation
from hum.contract.errors import FieldError, InvalidRequest, Unavailable
from hum.observe.logs import log
from hum.settings import ControlSettings
from hum.v1 import flows_pb2
from hum.v1 import studio_pb2 as pb
from storage import identity
from storage.db import Db

#: Seconds in which the page of a proposal must be there.
STUDIO_FETCH_SECONDS = 8.0
#: The largest page of a proposal.
STUDIO_PAGE_BYTES = 1 << 20
#: Characters of its text that the model reads.
STUDIO_PAGE_CHARS = 20_000

LOG = log(__name__)
ACCEPT = "text/html, text/markdown, text/plain;q=0.9, */*;q=0.1"
#: The model may correct an invalid proposal once.
ATTEMPTS = 2
SILENT = "The model did not answer in time, or not usably. Try again."
NOT_VALID = (
    "The model proposed nothing valid. Try again, or describe the business in other words. What was wrong: {problems}"
)


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a page, up to a limit."""

    text: str
    is_cut: bool


class Proposals:
    def __init__(
        self,
        db: Db,
        web: GuardedClient,
        writer: Writer,
        choices: Choices,
        concurrency: ConcurrencyLimit,
        settings: ControlSettings,
    ) -> None:
        self._db, self._web, self._writer = db, web, writer
        self._choices, self._concurrency, self._settings = choices, concurrency, settings
        self._converter, self._converting = Converter(settings), asyncio.Semaphore(settings.studio_concurrency)
        self._organizations = ConcurrencyLimits(max(1, settings.studio_concurrency // 2), settings.studio_seconds)

    async def propose(self, org: UUID, request: pb.ProposeFlowRequest) -> pb.ProposeFlowResponse:
        """Propose a flow.  Raises InvalidRequest, RateLimited, Unavailable."""
        with self._concurrency.slot(org):
            async with self._db.tenant(org) as tx:
                await limits.count_request(tx, limits.PROPOSAL, self._settings.studio_proposals_per_day)
            spent = list[ModelUsage]()
            try:
                async with asyncio.timeout(self._settings.studio_seconds):
                    return await self._propose(org, request, spent)
            except (ModelError, TimeoutError) as error:
                LOG.warning("could not propose a flow", error=repr(error)[:300])
                raise Unavailable(SILENT) from error
            finally:  # also if the request is canceled
                async with self._db.tenant(org) as tx:
                    await usage.record_trial(tx, org, None, spent)

    async def _propose(
        self, org: UUID, request: pb.ProposeFlowRequest, spent: list[ModelUsage]
    ) -> pb.ProposeFlowResponse:
        page = await self._read(org, request.url) if request.HasField("url") else None
        async with self._db.tenant(org) as tx:
            organization = await identity.organization(tx, org)
        hours_json = usable_hours(organization.business_hours_json)
        proposal = ProposalRequest(
            description=request.description,
            page=page.text if page else "",
            url=request.url,
            language=request.language,
            channel=request.channel or flows_pb2.CHANNEL_VOICE,
            today=now().astimezone(ZoneInfo(organization.time_zone)).date(),
            organization=organization.name,
        )
        draft = drafts.following(await self._draft(org, proposal, spent), hours_json, organization.time_zone)
        # Of a long text it takes a tenth of a second.
        missing = await asyncio.to_thread(omissions, request.description, draft.flow, hours_json, proposal.today)
        in_force = draft.flow.business_hours_json or hours_json
        mentions = await asyncio.to_thread(hours_mentions, draft.flow.system_prompt, in_force, proposal.today)
        return pb.ProposeFlowResponse(
            flow=draft.flow,
            rationale=draft.rationale,
            page=pb.ProposalPage(url=request.url, chars=len(page.text), is_cut=page.is_cut) if page else None,
            left_out=draft.left_out,
            omissions=missing,
            hours_mentions=mentions,
        )

    async def _draft(self, org: UUID, request: ProposalRequest, spent: list[ModelUsage]) -> FlowDraft:
        """Have the model write a complete, valid draft.  Raises ModelError, Unavailable."""
        question: dict[str, Any] = {"description": request.description, "page": request.page or None}
        question |= {"organization": request.organization, "today": request.today.isoformat()}
        schema = drafts.schema(request.channel, self._choices.voices)
        problems: Sequence[FieldError] = ()
        for _ in range(ATTEMPTS):
            text = json.dumps(question, ensure_ascii=False)
            written = await self._writer.write(drafts.instructions(request.channel, request.language), text, schema)
            spent.append(written.spent)
            draft = drafts.to_draft(written.answer, request, self._choices.voices)
            problems = draft.problems or validation.check(flows_pb2.CreateFlowRequest(flow=draft.flow))
            if not problems:
                try:
                    async with self._db.tenant(org) as tx:
                        full = await flow_usecases.as_created(tx, draft.flow, self._choices)
                    return replace(draft, flow=full)
                except InvalidRequest as error:
                    problems = error.fields
            question["your_proposal"] = written.answer
            question["correct_these"] = [
                f"{problem.field.removeprefix('flow.')}: {problem.reason}" for problem in problems
            ]
        raise Unavailable(NOT_VALID.format(problems="; ".join(question["correct_these"])[:500]))

    async def _read(self, org: UUID, url: str) -> Page:
        """Fetch the text of a page.  Raises InvalidRequest."""
        try:
            body, media_type = await self._fetch(org, url)
            form = knowledge_rules.format_of(body, url, media_type)
            # A conversion takes a process, of which an organization has at most half.
            async with self._organizations.enter(org, patiently=True), self._converting:
                blocks = await self._converter.blocks(body, form)
        except Unreadable as error:
            raise InvalidRequest([FieldError("url", f"can't be read: {error}")]) from error
        text = "\n".join(block.text for block in blocks).strip()
        if not text:
            raise InvalidRequest([FieldError("url", "can't be read: there is no text on the page")])
        most = STUDIO_PAGE_CHARS
        return Page(text[:most], len(text) > most)

    async def _fetch(self, org: UUID, url: str) -> tuple[bytes, str]:
        """Fetch a page; return its body and content type.  Raises Unreadable."""
        try:
            answer = await self._web.request(
                "GET",
                url,
                org=org,
                headers={"Accept": ACCEPT},
                total_seconds=STUDIO_FETCH_SECONDS,
                response_bytes=STUDIO_PAGE_BYTES,
            )
        except EgressError as error:
            raise Unreadable(error.message) from error
        if 300 <= answer.status < 400:
            raise Unreadable(f"The server answered {answer.status}; redirects are not followed, name the final url.")
        if answer.status != 200:
            raise Unreadable(f"The server answered {answer.status}.")
        return answer.body, answer.headers.get("content-type", "")
