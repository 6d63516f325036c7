"""IdentityService and AdminService (proto/hum/v1/identity.proto, runtime.proto)."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import cast
from uuid import UUID

from control import resealing
from control.analytics import usecases as analytics
from control.base import masks, paging
from control.base.principal import ROLES, permissions
from control.base.subscriptions import Payments
from control.base.wire import moment, timestamp, value, word
from control.boundary import NodeContext, SessionContext, SignedInContext, TransactionContext
from control.calls.live import LiveCall
from control.clients.twilio import CarrierClient, Webhooks
from control.identity import invitations, usecases
from control.identity.grants import Onboarding
from control.numbers import usecases as numbers
from control.quarantine import item_id, release_items
from control.retention import organizations
from control.usage import usecases as usage
from control.usage.pricetable import Prices
from hum import ids
from hum.clock import now
from hum.contract import validation
from hum.contract.errors import FieldError, InvalidRequest
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.objects.files import Files
from hum.plans import FREE
from hum.secrets import Keyring
from hum.v1 import identity_pb2 as pb
from hum.v1 import options_pb2, runtime_pb2
from storage import identity, quarantine, sessions, team
from storage.db import Db, Tx
from storage.identity import ApiKeyRow, InvitationRow, MembershipRow, OrganizationRow, OwnRequestRow, RequestRow
from storage.sessions import IssuerAccountRow


class IdentityServicer:
    """The service for people and keys.

    `fresh`: how long after a sign-in a person may change their linked accounts; `stand_ins`: the outside systems that stand-ins
    replace.
    """

    def __init__(
        self, cursors: paging.Cursors, onboarding: Onboarding, fresh: timedelta, stand_ins: Sequence[str]
    ) -> None:
        self._cursors, self._onboarding, self._fresh = cursors, onboarding, fresh
        self._stand_ins = [value(pb.StandIn, name) for name in stand_ins]

    async def GetMe(self, _: pb.GetMeRequest, ctx: SignedInContext) -> pb.GetMeResponse:
        return await self._me(ctx.tx, ctx.principal, ctx.principal.organization)

    async def _me(self, tx: Tx, principal: Principal, org: UUID | None) -> pb.GetMeResponse:
        """Describe the principal as a member of `org`.  A key sees only its own organization, not those of its creator."""
        person = await identity.user(tx, principal.user_id) if principal.user_id else None
        memberships = await identity.my_organizations(tx) if principal.session_id else [await _of_key(tx, principal)]
        invitations = await identity.my_invitations(tx) if principal.session_id else []
        pending = await identity.my_requests(tx) if principal.session_id else []
        current = next((row for row in memberships if row.id == org), None)
        member = replace(
            principal, organization=current.id if current else None, role=current.role if current else None
        )
        return pb.GetMeResponse(
            user=pb.User(id=ids.show(Kind.USER, person.id), email=person.email, name=person.name) if person else None,
            organization=pb.OrganizationRef(
                id=ids.show(Kind.ORGANIZATION, current.id), name=current.name, time_zone=current.time_zone
            )
            if current
            else None,
            role=value(options_pb2.Role, current.role if current else None),
            permissions=permissions(member),
            stand_ins=self._stand_ins,
            limited=bool(current and principal.user_id and await team.is_limited(tx, principal.user_id)),
            organizations=[
                pb.Membership(
                    id=ids.show(Kind.ORGANIZATION, row.id), name=row.name, role=value(options_pb2.Role, row.role)
                )
                for row in memberships
            ],
            invitations=[present_invitation(row) for row in invitations],
            pending_organizations=[
                pb.PendingOrganization(
                    id=ids.show(Kind.ORGANIZATION, row.id), name=row.name, created_at=timestamp(row.created_at)
                )
                for row in pending
            ],
        )

    async def SwitchOrganization(
        self, request: pb.SwitchOrganizationRequest, ctx: SessionContext
    ) -> pb.SwitchOrganizationResponse:
        org = ids.require(Kind.ORGANIZATION, request.organization_id)
        await identity.switch(ctx.tx, ctx.session_id, org)
        return pb.SwitchOrganizationResponse(me=await self._me(ctx.tx, ctx.principal, org))

    async def RevokeMySessions(self, _: pb.RevokeMySessionsRequest, ctx: SessionContext) -> pb.RevokeMySessionsResponse:
        await sessions.close_all_of(ctx.tx, ctx.user_id)
        return pb.RevokeMySessionsResponse()

    async def ListSignIns(self, _: pb.ListSignInsRequest, ctx: SessionContext) -> pb.ListSignInsResponse:
        return pb.ListSignInsResponse(sign_ins=[present_sign_in(row) for row in await sessions.own_accounts(ctx.tx)])

    async def RemoveSignIn(self, request: pb.RemoveSignInRequest, ctx: SessionContext) -> pb.RemoveSignInResponse:
        id = ids.require(Kind.SIGN_IN, request.id)
        await usecases.remove_sign_in(ctx, id, self._fresh)
        return pb.RemoveSignInResponse()

    async def AcceptInvitation(
        self, request: pb.AcceptInvitationRequest, ctx: SessionContext
    ) -> pb.AcceptInvitationResponse:
        id = ids.require(Kind.INVITE, request.id)
        org = await invitations.accept_invitation(ctx, id)
        return pb.AcceptInvitationResponse(me=await self._me(ctx.tx, ctx.principal, org))

    async def DeclineInvitation(
        self, request: pb.DeclineInvitationRequest, ctx: SessionContext
    ) -> pb.DeclineInvitationResponse:
        await invitations.decline_invitation(
            ctx.tx, ctx.principal, ids.require(Kind.INVITE, request.id), ctx.request_id
        )
        return pb.DeclineInvitationResponse()

    async def OnboardOrganization(
        self, request: pb.OnboardOrganizationRequest, ctx: SessionContext
    ) -> pb.OnboardOrganizationResponse:
        result = await usecases.onboard(ctx, request.name, self._onboarding)
        if isinstance(result, OwnRequestRow):
            return pb.OnboardOrganizationResponse(organization=present_pending(result))
        return pb.OnboardOrganizationResponse(organization=present(await identity.organization(ctx.tx, result)))

    async def ListOrganizationRequests(
        self, request: pb.ListOrganizationRequestsRequest, ctx: SignedInContext
    ) -> pb.ListOrganizationRequestsResponse:
        fetched = await identity.page_requests(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,))
        return pb.ListOrganizationRequestsResponse(requests=[present_request(row) for row in rows], next_cursor=more)

    async def ApproveOrganization(
        self, request: pb.ApproveOrganizationRequest, ctx: SignedInContext
    ) -> pb.ApproveOrganizationResponse:
        org = ids.require(Kind.ORGANIZATION, request.id)
        await usecases.approve(ctx.tx, ctx.principal, org, ctx.request_id)
        return pb.ApproveOrganizationResponse(organization=present(await identity.organization(ctx.tx, org)))

    async def DenyOrganization(
        self, request: pb.DenyOrganizationRequest, ctx: SignedInContext
    ) -> pb.DenyOrganizationResponse:
        await identity.decide(ctx.tx, ids.require(Kind.ORGANIZATION, request.id), approved=False)
        return pb.DenyOrganizationResponse()

    async def ProvisionOrg(self, request: pb.ProvisionOrgRequest, ctx: SignedInContext) -> pb.ProvisionOrgResponse:
        plan = request.plan if request.HasField("plan") else FREE
        notes = request.admin_notes if request.HasField("admin_notes") else None
        org = await usecases.provision(
            ctx.tx, ctx.principal, request.name, request.owner_email, plan, notes, ctx.request_id
        )
        return pb.ProvisionOrgResponse(organization=present(await identity.organization(ctx.tx, org)))

    async def GetOrganization(
        self, _: pb.GetOrganizationRequest, ctx: TransactionContext
    ) -> pb.GetOrganizationResponse:
        return pb.GetOrganizationResponse(organization=present(await identity.organization(ctx.tx, ctx.organization)))

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, ctx: TransactionContext
    ) -> pb.UpdateOrganizationResponse:
        before = await identity.organization(ctx.tx, ctx.organization, lock=True)
        merged = masks.masked(present(before), request.organization, request.update_mask.paths)
        after = _row(cast("pb.Organization", merged), before)
        await usecases.update_organization(ctx.tx, ctx.principal, before, after, now())
        return pb.UpdateOrganizationResponse(organization=present(after))

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, ctx: TransactionContext) -> pb.ListApiKeysResponse:
        fetched = await identity.page_keys(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,))
        return pb.ListApiKeysResponse(api_keys=[present_key(row) for row in rows], next_cursor=more)

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, ctx: TransactionContext) -> pb.CreateApiKeyResponse:
        key = request.api_key
        expires = moment(key.expires_at) if key.HasField("expires_at") else None
        row, secret = await usecases.create_key(
            ctx.tx, ctx.principal, key.name, word(options_pb2.Role, key.role) or "", list(key.scopes), expires, now()
        )
        return pb.CreateApiKeyResponse(api_key=present_key(row, secret))

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, ctx: TransactionContext) -> pb.RevokeApiKeyResponse:
        await usecases.revoke_key(ctx, ids.require(Kind.API_KEY, request.id), keep_made=request.keep_made_keys)
        return pb.RevokeApiKeyResponse()


#: Shorter than the timeout of `hum admin`.
RESEAL_SECONDS = DELETE_SECONDS = 5.0


class AdminServicer:
    """The service of `hum admin`.  `live(organization, call)`: a call's events; `prices()`: the price table."""

    def __init__(
        self,
        db: Db,
        cursors: paging.Cursors,
        carrier: CarrierClient,
        webhooks: Webhooks,
        live: Callable[[UUID, UUID], LiveCall],
        prices: Callable[[], Prices],
        keyring: Keyring,
        files: Files,
        payments: Payments | None,
    ) -> None:
        self._prices = prices
        self._db, self._cursors, self._carrier, self._webhooks, self._live = db, cursors, carrier, webhooks, live
        self._keyring, self._files, self._payments = keyring, files, payments

    async def ListOrganizations(
        self, request: runtime_pb2.ListOrganizationsRequest, _: NodeContext
    ) -> runtime_pb2.ListOrganizationsResponse:
        validation.require_valid(request)
        async with self._db.system() as tx:
            fetched = await identity.page_organizations(tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, fetched, lambda row: (row.id,))
        results = [
            runtime_pb2.ListedOrganization(
                id=ids.show(Kind.ORGANIZATION, row.id), name=row.name, created_at=timestamp(row.created_at)
            )
            for row in rows
        ]
        return runtime_pb2.ListOrganizationsResponse(organizations=results, next_cursor=more)

    async def CreateOrganization(
        self, request: runtime_pb2.CreateOrganizationRequest, _: NodeContext
    ) -> runtime_pb2.CreateOrganizationResponse:
        org = await usecases.create_organization(
            self._db, request.name, request.owner_email, same_name=request.same_name
        )
        return runtime_pb2.CreateOrganizationResponse(id=ids.show(Kind.ORGANIZATION, org))

    async def DeleteOrganization(
        self, request: runtime_pb2.DeleteOrganizationRequest, _: NodeContext
    ) -> runtime_pb2.DeleteOrganizationResponse:
        org = ids.require(Kind.ORGANIZATION, request.organization_id)
        row = await organizations.delete(self._db, self._files, self._payments, org, request.name, DELETE_SECONDS)
        return runtime_pb2.DeleteOrganizationResponse(done=row.is_done, rows=row.rows, numbers=row.numbers)

    async def IssueApiKey(
        self, request: runtime_pb2.IssueApiKeyRequest, _: NodeContext
    ) -> runtime_pb2.IssueApiKeyResponse:
        role = word(options_pb2.Role, request.role)
        if role is None:
            raise InvalidRequest([FieldError("role", f"must be one of {', '.join(ROLES)}")])
        org = ids.require(Kind.ORGANIZATION, request.organization_id)
        row, secret = await usecases.issue_key(self._db, org, request.name or "hum admin", role, list(request.scopes))
        return runtime_pb2.IssueApiKeyResponse(id=ids.show(Kind.API_KEY, row.id), key=secret)

    async def RebuildAnalytics(
        self, _: runtime_pb2.RebuildAnalyticsRequest, __: NodeContext
    ) -> runtime_pb2.RebuildAnalyticsResponse:
        return runtime_pb2.RebuildAnalyticsResponse(quarters=await analytics.rebuild(self._db))

    async def ResealSecrets(
        self, request: runtime_pb2.ResealSecretsRequest, _: NodeContext
    ) -> runtime_pb2.ResealSecretsResponse:
        if request.dry_run:
            return runtime_pb2.ResealSecretsResponse(left=await resealing.count_left(self._db, self._keyring))
        counts = await resealing.reseal(self._db, self._keyring, RESEAL_SECONDS)
        return runtime_pb2.ResealSecretsResponse(
            resealed=counts.resealed, unsealable=counts.unsealable, left=counts.left
        )

    async def RebuildUsage(
        self, _: runtime_pb2.RebuildUsageRequest, __: NodeContext
    ) -> runtime_pb2.RebuildUsageResponse:
        return runtime_pb2.RebuildUsageResponse(entries=await usage.rebuild(self._db, self._prices()))

    async def ListSetAside(
        self, request: runtime_pb2.ListSetAsideRequest, _: NodeContext
    ) -> runtime_pb2.ListSetAsideResponse:
        validation.require_valid(request)
        async with self._db.system() as tx:
            rows = await quarantine.page(tx, request.limit)
        return runtime_pb2.ListSetAsideResponse(
            set_aside=[
                runtime_pb2.SetAside(
                    id=item_id(row),
                    about=row.about,
                    organization_id=ids.show(Kind.ORGANIZATION, row.org_id) if row.org_id else "",
                    at=timestamp(row.at),
                    reason=row.reason or "",
                )
                for row in rows
            ]
        )

    async def ReleaseSetAside(
        self, request: runtime_pb2.ReleaseSetAsideRequest, _: NodeContext
    ) -> runtime_pb2.ReleaseSetAsideResponse:
        validation.require_valid(request)
        return runtime_pb2.ReleaseSetAsideResponse(released=await release_items(self._db, request.ids))

    async def AssignNumber(
        self, request: runtime_pb2.AssignNumberRequest, _: NodeContext
    ) -> runtime_pb2.AssignNumberResponse:
        if (complaint := validation.bad_e164(request.e164)) is not None:
            raise InvalidRequest([FieldError("e164", complaint)])
        org = ids.require(Kind.ORGANIZATION, request.organization_id)
        id = await numbers.assign(self._db, self._carrier, self._webhooks, org, request.e164)
        return runtime_pb2.AssignNumberResponse(id=ids.show(Kind.NUMBER, id))

    async def SetSiteAdmin(
        self, request: runtime_pb2.SetSiteAdminRequest, _: NodeContext
    ) -> runtime_pb2.SetSiteAdminResponse:
        user = await usecases.set_site_admin(self._db, request.email, site_admin=request.site_admin)
        return runtime_pb2.SetSiteAdminResponse(user_id=ids.show(Kind.USER, user))

    async def UnlinkSignIn(
        self, request: runtime_pb2.UnlinkSignInRequest, _: NodeContext
    ) -> runtime_pb2.UnlinkSignInResponse:
        unlinked = await usecases.unlink_sign_in(self._db, email=request.email, issuer=request.issuer)
        return runtime_pb2.UnlinkSignInResponse(unlinked=unlinked)

    async def FollowCall(
        self, request: runtime_pb2.FollowCallRequest, _: NodeContext
    ) -> AsyncIterator[runtime_pb2.FollowCallResponse]:
        org, id = await usecases.follow_call(self._db, request.call_id, request.call_sid)
        async with aclosing(self._live(org, id).events(0)) as events:
            async for event in events:
                yield runtime_pb2.FollowCallResponse(event=event)


def present_sign_in(row: IssuerAccountRow) -> pb.SignIn:
    return pb.SignIn(
        id=ids.show(Kind.SIGN_IN, row.id),
        issuer=row.issuer,
        email=row.email,
        linked_at=timestamp(row.linked_at),
        used_at=timestamp(row.used_at),
    )


async def _of_key(tx: Tx, principal: Principal) -> MembershipRow:
    row = await identity.organization(tx, principal.org_id)
    return MembershipRow(row.id, row.name, row.time_zone, principal.role or "")


def present_invitation(row: InvitationRow) -> pb.Invitation:
    return pb.Invitation(
        id=ids.show(Kind.INVITE, row.id),
        organization_id=ids.show(Kind.ORGANIZATION, row.org_id),
        organization_name=row.org_name,
        role=value(options_pb2.Role, row.role),
        invited_by=row.invited_by,
        created_at=timestamp(row.created_at),
        expires_at=timestamp(row.expires_at),
    )


def present_request(row: RequestRow) -> pb.OrganizationRequest:
    return pb.OrganizationRequest(
        id=ids.show(Kind.ORGANIZATION, row.id),
        name=row.name,
        requested_by=pb.User(id=ids.show(Kind.USER, row.user_id), email=row.email, name=row.user_name),
        created_at=timestamp(row.created_at),
    )


def present_pending(row: OwnRequestRow) -> pb.Organization:
    """Show a requested organization, of which only id, name, status and time exist."""
    return pb.Organization(
        id=ids.show(Kind.ORGANIZATION, row.id),
        name=row.name,
        status=pb.ORGANIZATION_STATUS_PENDING,
        created_at=timestamp(row.created_at),
    )


def present(row: OrganizationRow) -> pb.Organization:
    return pb.Organization(
        id=ids.show(Kind.ORGANIZATION, row.id),
        name=row.name,
        time_zone=row.time_zone,
        business_hours_json=row.business_hours_json,
        business_identity_json=row.business_identity_json,
        quiet_hours_enabled=row.quiet_hours_enabled,
        recipient_hours_enabled=row.recipient_hours_enabled,
        voice_quiet_hours_enabled=row.voice_quiet_hours_enabled,
        keyword_replies=value(pb.KeywordReplies, row.keyword_replies),
        retention_days=row.retention_days,
        created_at=timestamp(row.created_at),
        status=pb.ORGANIZATION_STATUS_ACTIVE,
        keyword_texts_json=row.keyword_texts_json,
        notify_transcripts=row.notify_transcripts,
    )


def _row(organization: pb.Organization, before: OrganizationRow) -> OrganizationRow:
    def text(name: str) -> str | None:
        return getattr(organization, name) if organization.HasField(name) else None  # type: ignore[arg-type]  # a field

    return OrganizationRow(
        id=before.id,
        name=organization.name,
        time_zone=organization.time_zone,
        business_hours_json=text("business_hours_json"),
        business_identity_json=text("business_identity_json"),
        quiet_hours_enabled=organization.quiet_hours_enabled,
        recipient_hours_enabled=organization.recipient_hours_enabled,
        voice_quiet_hours_enabled=organization.voice_quiet_hours_enabled,
        keyword_replies=word(pb.KeywordReplies, organization.keyword_replies) or "carrier",
        retention_days=organization.retention_days if organization.HasField("retention_days") else None,
        created_at=before.created_at,
        keyword_texts_json=text("keyword_texts_json"),
        notify_transcripts=organization.notify_transcripts,
    )


def present_key(row: ApiKeyRow, secret: str | None = None) -> pb.ApiKey:
    return pb.ApiKey(
        id=ids.show(Kind.API_KEY, row.id),
        name=row.name,
        role=value(options_pb2.Role, row.role),
        scopes=row.scopes,
        prefix=row.prefix,
        created_at=timestamp(row.created_at),
        expires_at=timestamp(row.expires_at),
        last_used_at=timestamp(row.last_used_at),
        revoked_at=timestamp(row.revoked_at),
        secret=secret,
    )
