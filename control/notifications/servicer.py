"""NotificationsService (proto/hum/v1/notifications.proto)."""

from uuid import UUID

from control.base import paging
from control.base.wire import timestamp, value
from control.boundary import TransactionContext
from control.notifications import noticekinds
from hum import ids
from hum.contract.errors import Forbidden
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import notifications_pb2 as pb
from storage import notifications
from storage.db import Tx
from storage.notifications import EmailRow, PreferencesRow

#: The fields of a person's settings, and their kinds of notices.
FIELDS = {
    "voicemails": noticekinds.VOICEMAIL,
    "transfers": noticekinds.TRANSFER,
    "webhooks": noticekinds.WEBHOOK,
    "limits": noticekinds.LIMIT,
}


class NotificationsServicer:
    """The service of notifications.  `is_on`: whether this deployment sends e-mails."""

    def __init__(self, cursors: paging.Cursors, *, is_on: bool) -> None:
        self._cursors, self._is_on = cursors, is_on

    async def GetMyNotifications(
        self, _: pb.GetMyNotificationsRequest, ctx: TransactionContext
    ) -> pb.GetMyNotificationsResponse:
        preferences = await notifications.preferences(ctx.tx, _person(ctx.principal))
        return pb.GetMyNotificationsResponse(notifications=await self._present(ctx.tx, ctx.principal, preferences))

    async def UpdateMyNotifications(
        self, request: pb.UpdateMyNotificationsRequest, ctx: TransactionContext
    ) -> pb.UpdateMyNotificationsResponse:
        user, sent = _person(ctx.principal), request.notifications
        before = await notifications.preferences(ctx.tx, user, lock=True)
        changed = set(request.update_mask.paths) or {field.name for field, _ in sent.ListFields()}
        after = PreferencesRow(
            **{name: _choice(sent, name) if name in changed else getattr(before, name) for name in FIELDS}
        )
        for name in changed & FIELDS.keys():
            if getattr(after, name) and ctx.principal.role not in noticekinds.ALLOWED[FIELDS[name]]:
                raise Forbidden(f"Only an admin gets e-mails of {name}.")
        await notifications.set_preferences(ctx.tx, user, after)
        return pb.UpdateMyNotificationsResponse(notifications=await self._present(ctx.tx, ctx.principal, after))

    async def ListEmails(self, request: pb.ListEmailsRequest, ctx: TransactionContext) -> pb.ListEmailsResponse:
        page = await notifications.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        return pb.ListEmailsResponse(emails=[present_email(row) for row in rows], next_cursor=more)

    async def _present(self, tx: Tx, principal: Principal, preferences: PreferencesRow) -> pb.Notifications:
        return pb.Notifications(
            voicemails=_effective(principal, preferences.voicemails, noticekinds.VOICEMAIL),
            transfers=_effective(principal, preferences.transfers, noticekinds.TRANSFER),
            webhooks=_effective(principal, preferences.webhooks, noticekinds.WEBHOOK),
            limits=_effective(principal, preferences.limits, noticekinds.LIMIT),
            email=await notifications.address(tx, _person(principal)),
            available=self._is_on,
        )


def _person(principal: Principal) -> UUID:
    assert principal.user_id is not None, "the method is for sessions"
    return principal.user_id


def _choice(sent: pb.Notifications, name: str) -> bool | None:
    return getattr(sent, name) if sent.HasField(name) else None  # type: ignore[arg-type]  # one of FIELDS


def _effective(principal: Principal, choice: bool | None, kind: str) -> bool:
    """Return whether the person gets notices of a kind."""
    role = principal.role or ""
    return role in noticekinds.ALLOWED[kind] and (noticekinds.is_default(kind, role) if choice is None else choice)


def present_email(row: EmailRow) -> pb.Email:
    return pb.Email(
        id=ids.show(Kind.EMAIL, row.id),
        to=row.to_address,
        user_id=ids.show(Kind.USER, row.user_id) if row.user_id else None,
        kind=value(pb.EmailKind, row.kind),
        notices=row.notices,
        state=value(pb.EmailState, row.state),
        attempts=row.attempts,
        error=row.error,
        created_at=timestamp(row.created_at),
        ended_at=timestamp(row.ended_at),
    )
