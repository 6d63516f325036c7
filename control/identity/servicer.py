"""IdentityService and AdminService (proto/hum/v1/identity.proto, runtime.proto)."""

from typing import cast

from control.base import masks, paging
from control.base.principal import ROLES
from control.base.wire import moment, timestamp, value, word
from control.boundary import Call
from control.identity import usecases
from hum import ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest
from hum.ids import Kind
from hum.v1 import identity_pb2 as pb
from hum.v1 import options_pb2, runtime_pb2
from storage import identity
from storage.db import Db
from storage.identity import ApiKeyRow, OrganizationRow


class IdentityServicer:
    def __init__(self, cursors: paging.Cursors) -> None:
        self._cursors = cursors

    async def GetMe(self, _: pb.GetMeRequest, call: Call) -> pb.GetMeResponse:
        org = await identity.organization(call.tx, call.who.org_id)
        maker = await identity.user(call.tx, call.who.user_id) if call.who.user_id else None
        role = value(options_pb2.Role, call.who.role)
        id = ids.show(Kind.ORGANIZATION, org.id)
        return pb.GetMeResponse(
            user=pb.User(id=ids.show(Kind.USER, maker.id), email=maker.email, name=maker.name) if maker else None,
            organization=pb.OrganizationRef(id=id, name=org.name, time_zone=org.time_zone),
            role=role,
            organizations=[pb.Membership(id=id, name=org.name, role=role)],
        )

    async def GetOrganization(self, _: pb.GetOrganizationRequest, call: Call) -> pb.GetOrganizationResponse:
        return pb.GetOrganizationResponse(organization=present(await identity.organization(call.tx, call.who.org_id)))

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, call: Call
    ) -> pb.UpdateOrganizationResponse:
        before = await identity.organization(call.tx, call.who.org_id)
        changed = masks.masked(present(before), request.organization, request.update_mask.paths)
        after = _row(cast("pb.Organization", changed), before)
        await usecases.update_organization(call.tx, call.who, after)
        return pb.UpdateOrganizationResponse(organization=present(after))

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, call: Call) -> pb.ListApiKeysResponse:
        found = await identity.page_keys(call.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, found, lambda row: (row.id,))
        return pb.ListApiKeysResponse(api_keys=[present_key(row) for row in rows], next_cursor=more)

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, call: Call) -> pb.CreateApiKeyResponse:
        asked = request.api_key
        expires = moment(asked.expires_at) if asked.HasField("expires_at") else None
        row, secret = await usecases.create_key(
            call.tx, call.who, asked.name, word(options_pb2.Role, asked.role) or "", list(asked.scopes), expires, now()
        )
        return pb.CreateApiKeyResponse(api_key=present_key(row, secret))

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, call: Call) -> pb.RevokeApiKeyResponse:
        await usecases.revoke_key(call.tx, call.who, ids.require(Kind.API_KEY, request.id))
        return pb.RevokeApiKeyResponse()


class AdminServicer:
    def __init__(self, db: Db) -> None:
        self._db = db

    async def CreateOrganization(
        self, request: runtime_pb2.CreateOrganizationRequest, _: Call
    ) -> runtime_pb2.CreateOrganizationResponse:
        org = await usecases.create_organization(self._db, request.name, request.owner_email)
        return runtime_pb2.CreateOrganizationResponse(id=ids.show(Kind.ORGANIZATION, org))

    async def IssueApiKey(self, request: runtime_pb2.IssueApiKeyRequest, _: Call) -> runtime_pb2.IssueApiKeyResponse:
        role = word(options_pb2.Role, request.role)
        if role is None:
            raise InvalidRequest([FieldError("role", f"is one of {', '.join(ROLES)}")])
        org = ids.require(Kind.ORGANIZATION, request.organization_id)
        row, secret = await usecases.issue_key(self._db, org, request.name or "hum admin", role, list(request.scopes))
        return runtime_pb2.IssueApiKeyResponse(id=ids.show(Kind.API_KEY, row.id), key=secret)


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
