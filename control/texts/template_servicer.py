"""SmsTemplatesService (proto/hum/v1/sms_templates.proto)."""

from dataclasses import asdict

from control.base import paging, texttemplates
from control.base.texttemplates import BadTextTemplate
from control.base.wire import timestamp
from control.boundary import TransactionContext
from control.texts import segments
from hum import ids
from hum.contract.errors import FieldError, InvalidRequest, PlanLimit
from hum.ids import Kind
from hum.v1 import sms_templates_pb2 as pb
from storage import sms_templates
from storage.sms_templates import TemplateRow

LONGEST_CHARS = 1600


class SmsTemplatesServicer:
    """The service of templates.  `most`: the limit per organization."""

    def __init__(self, cursors: paging.Cursors, most: int) -> None:
        self._cursors, self._most = cursors, most

    async def ListSmsTemplates(
        self, request: pb.ListSmsTemplatesRequest, ctx: TransactionContext
    ) -> pb.ListSmsTemplatesResponse:
        page = await sms_templates.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        return pb.ListSmsTemplatesResponse(templates=[present(row) for row in rows], next_cursor=more)

    async def CreateSmsTemplate(
        self, request: pb.CreateSmsTemplateRequest, ctx: TransactionContext
    ) -> pb.CreateSmsTemplateResponse:
        _check(request.template.body)
        if await sms_templates.count(ctx.tx) >= self._most:
            raise PlanLimit(f"The organization has {self._most} templates, which is the limit.")
        row = await sms_templates.create(ctx.tx, ids.new(), request.template.name, request.template.body)
        return pb.CreateSmsTemplateResponse(template=present(row))

    async def GetSmsTemplate(
        self, request: pb.GetSmsTemplateRequest, ctx: TransactionContext
    ) -> pb.GetSmsTemplateResponse:
        row = await sms_templates.get(ctx.tx, ids.require(Kind.TEMPLATE, request.id))
        return pb.GetSmsTemplateResponse(template=present(row))

    async def UpdateSmsTemplate(
        self, request: pb.UpdateSmsTemplateRequest, ctx: TransactionContext
    ) -> pb.UpdateSmsTemplateResponse:
        before = await sms_templates.get(ctx.tx, ids.require(Kind.TEMPLATE, request.id), lock=True)
        changed = set(request.update_mask.paths) or {field.name for field, _ in request.template.ListFields()}
        body = request.template.body if "body" in changed else before.body
        _check(body)
        name = request.template.name if "name" in changed else before.name
        return pb.UpdateSmsTemplateResponse(template=present(await sms_templates.change(ctx.tx, before.id, name, body)))

    async def DeleteSmsTemplate(
        self, request: pb.DeleteSmsTemplateRequest, ctx: TransactionContext
    ) -> pb.DeleteSmsTemplateResponse:
        await sms_templates.delete(ctx.tx, ids.require(Kind.TEMPLATE, request.id))
        return pb.DeleteSmsTemplateResponse()

    async def RenderSmsTemplate(
        self, request: pb.RenderSmsTemplateRequest, ctx: TransactionContext
    ) -> pb.RenderSmsTemplateResponse:
        row = await sms_templates.get(ctx.tx, ids.require(Kind.TEMPLATE, request.id))
        values = await sms_templates.values(ctx.tx, ids.require(Kind.CONVERSATION, request.conversation_id))
        rendered = texttemplates.render(texttemplates.parse(row.body), texttemplates.values_of(**asdict(values)))
        body = rendered.text[:LONGEST_CHARS]
        return pb.RenderSmsTemplateResponse(body=body, segments=segments.count(body), missing=rendered.missing)


def _check(body: str) -> None:
    """Check a template's body.  Raises InvalidRequest."""
    try:
        texttemplates.check(body)
    except BadTextTemplate as error:
        raise InvalidRequest([FieldError("template.body", str(error))]) from error


def present(row: TemplateRow) -> pb.SmsTemplate:
    return pb.SmsTemplate(
        id=ids.show(Kind.TEMPLATE, row.id),
        name=row.name,
        body=row.body,
        variables=texttemplates.parse(row.body).names,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )
