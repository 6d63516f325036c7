"""Creating organizations and keys, invitations, linked accounts, and site admins."""

from datetime import datetime, timedelta
from uuid import UUID

from control.actors import actor
from control.audit.usecases import append_action, append_operator_action
from control.base import businessprofile
from control.boundary import SessionContext, TransactionContext
from control.identity import grants
from control.identity.grants import Onboarding
from control.retention.organizations import require_not_deleted
from hum import ids, secrets
from hum.contract import validation
from hum.contract.errors import AlreadyExists, FieldError, Forbidden, InvalidRequest, InvalidState, NotFound
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.plans import FREE
from hum.v1 import events_pb2
from storage import audit, billing, calls, events, identity, sends, sessions, text_runs
from storage.db import Db, Tx
from storage.identity import ApiKeyRow, OrganizationRow, OwnRequestRow

PREFIX_CHARS = len(secrets.API_KEY_PREFIX) + 6
#: Valid keys of an organization.  Revoking one revokes those that it made, in one transaction.
MOST_KEYS = 500


async def create_organization(db: Db, name: str, owner_email: str, *, same_name: bool = True) -> UUID:
    """Create an organization with the person of this e-mail address as its first admin.

    Raises InvalidRequest; without `same_name`, AlreadyExists if another has this name: a command repeated by mistake
    would create a second one.
    """
    errors = [FieldError("name", "is required")] if not name.strip() else []
    if (complaint := validation.bad_account_email(owner_email.strip())) is not None:
        errors.append(FieldError("owner_email", complaint))
    if errors:
        raise InvalidRequest(errors)
    org = ids.new()
    async with db.system() as tx:
        if not same_name and (existing := await identity.organization_named(tx, name.strip())) is not None:
            existing_id = ids.show(Kind.ORGANIZATION, existing)
            raise AlreadyExists(
                f"{existing_id} has the name {name.strip()!r}; `--same-name` creates another of that name."
            )
        await identity.create_organization(tx, org, name.strip())
        user = await identity.upsert_user(tx, ids.new(), owner_email.strip())
        await identity.add_member(tx, org, user, "admin")
        await events.append(tx, org, org, events_pb2.OrganizationCreatedEvent(name=name.strip()))
        await append_operator_action(tx, org, "createOrganization", ids.show(Kind.ORGANIZATION, org))
    return org


async def follow_call(db: Db, call_id: str, call_sid: str) -> tuple[UUID, UUID]:
    """Note in the organization's audit log that an operator follows a call; return the ids of both.  Raises NotFound.

    The call is that with the public id, or, if that is empty, with the carrier's.
    """
    async with db.system() as tx:
        if call_id:
            state = await calls.get(tx, ids.require(Kind.CALL, call_id))
        elif (found := await calls.lock_by_sid(tx, call_sid)) is not None:
            state = found
        else:
            raise NotFound("There is no such call.")
        await append_operator_action(tx, state.org_id, "followCall", ids.show(Kind.CALL, state.id))
    return state.org_id, state.id


async def onboard(ctx: SessionContext, name: str, policy: Onboarding) -> UUID | OwnRequestRow:
    """Create an organization with the signed-in person as its first admin, and switch the session to it; if a site
    admin must approve it, only request it.  Raises Forbidden, PlanLimit, InvalidRequest.
    """
    tx, principal = ctx.tx, ctx.principal
    if grants.needs_approval(principal, policy, await identity.count_created(tx)):
        id, name = ids.new(), _stripped(name)
        return OwnRequestRow(id, name, await identity.request_organization(tx, id, name))
    org = await _create(tx, principal, name, ctx.user_id, FREE, None, "onboardOrganization", ctx.request_id)
    await identity.switch(tx, ctx.session_id, org)
    return org


async def approve(tx: Tx, principal: Principal, id: UUID, request_id: str) -> None:
    """Create a requested organization, as a site admin.  Raises NotFound."""
    name = await identity.decide(tx, id, approved=True)
    await _append_founding(tx, principal, id, name, "approveOrganization", request_id)


async def provision(
    tx: Tx, principal: Principal, name: str, owner_email: str, plan: str, notes: str | None, request_id: str
) -> UUID:
    """Create an organization for a known person, as a site admin.  Raises NotFound, InvalidRequest."""
    plan_ids = [row.id for row in await billing.plans(tx)] or [FREE]
    if plan not in plan_ids:
        raise InvalidRequest([FieldError("plan", f"must be one of {', '.join(plan_ids)}")])
    owner = await identity.person_for_site_admin(tx, owner_email)
    return await _create(tx, principal, name, owner, plan, notes, "provisionOrg", request_id)


async def _create(
    tx: Tx, principal: Principal, name: str, admin: UUID, plan: str, notes: str | None, action: str, request_id: str
) -> UUID:
    org, name = ids.new(), _stripped(name)
    await identity.create_own_organization(tx, org, name, admin, plan, notes)
    await _append_founding(tx, principal, org, name, action, request_id)
    return org


async def _append_founding(tx: Tx, principal: Principal, org: UUID, name: str, action: str, request_id: str) -> None:
    await events.append(tx, org, org, events_pb2.OrganizationCreatedEvent(name=name))
    await append_action(tx, org, principal, action, ids.show(Kind.ORGANIZATION, org), ("name",), request_id)


def _stripped(name: str) -> str:
    """Strip a name.  Raises InvalidRequest if nothing is left."""
    if not name.strip():
        raise InvalidRequest([FieldError("name", "is empty")])
    return name.strip()


async def unlink_sign_in(db: Db, *, email: str, issuer: str) -> int:
    """Unlink the accounts of a person, or all accounts of an issuer, as an operator; return how many.

    Raises InvalidRequest, NotFound.
    """
    if not email and not issuer:
        raise InvalidRequest([FieldError("email", "is required, unless issuer is set")])
    async with db.system() as tx:
        unlinked = await sessions.unlink(tx, email=email, issuer=issuer)
    if not unlinked:
        raise NotFound(f"No linked account has {f'the address {email}' if email else f'the issuer {issuer}'}.")
    return unlinked


async def remove_sign_in(ctx: SessionContext, id: UUID, fresh: timedelta) -> None:
    """Unlink one of the person's own accounts, but never the last.  Raises Forbidden, NotFound, InvalidState."""
    if not await sessions.is_fresh(ctx.tx, ctx.session_id, fresh):
        raise Forbidden("You signed in too long ago to remove an account. Sign in again, then remove it.")
    await sessions.remove(ctx.tx, id, ctx.user_id, ctx.session_id)
    await audit.append_mine(
        ctx.tx,
        actor=actor(ctx.principal),
        actor_name=ctx.principal.name,
        action="removeSignIn",
        subject=ids.show(Kind.SIGN_IN, id),
        request_id=ctx.request_id,
    )


async def set_site_admin(db: Db, email: str, *, site_admin: bool) -> UUID:
    """Grant or revoke a person's right to administer the deployment, as an operator.  Raises InvalidRequest."""
    if (complaint := validation.bad_account_email(email)) is not None:
        raise InvalidRequest([FieldError("email", complaint)])
    async with db.system() as tx:
        user = await identity.upsert_user(tx, ids.new(), email)
        await identity.set_site_admin(tx, user, site_admin=site_admin)
    return user


async def create_key(
    tx: Tx, principal: Principal, name: str, role: str, scopes: list[str], expires_at: datetime | None, now: datetime
) -> tuple[ApiKeyRow, str]:
    """Create a key with at most the creator's rights; return it with its secret, which is not stored.

    A key that expires makes none that outlives it.  Raises InvalidRequest, InvalidState at the limit of keys, and Forbidden for a
    key that was revoked since this request was admitted.
    """
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest([FieldError("api_key.expires_at", "must be in the future")])
    key_scopes = grants.grantable(principal, role, scopes)
    ends = await require_valid_key(tx, principal)
    if await identity.count_valid_keys(tx) >= MOST_KEYS:
        raise InvalidState(f"An organization has at most {MOST_KEYS} valid API keys: revoke those that nobody needs.")
    if ends is not None and (expires_at is None or expires_at > ends):
        bound = f"must be at most {ends.isoformat(timespec='seconds')}, when the key that makes this one expires"
        raise InvalidRequest([FieldError("api_key.expires_at", bound)])
    makers = principal.user_id, principal.key_id
    return await _store_key(tx, principal.org_id, makers, name, role, key_scopes, expires_at)


async def issue_key(db: Db, org: UUID, name: str, role: str, scopes: list[str]) -> tuple[ApiKeyRow, str]:
    """Create a key for any organization, as an operator.  Raises NotFound, InvalidState if it is being deleted."""
    async with db.system() as tx:
        row, secret = await _store_key(tx, org, (None, None), name, role, scopes or ["*"], None)
        # Checked after the insert, which waits for the organization's row: a deletion that began before is visible now.
        await require_not_deleted(tx, org)
        await append_operator_action(
            tx, org, "createApiKey", ids.show(Kind.API_KEY, row.id), ("name", "role", "scopes")
        )
    return row, secret


async def _store_key(
    tx: Tx,
    org: UUID,
    makers: tuple[UUID | None, UUID | None],
    name: str,
    role: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> tuple[ApiKeyRow, str]:
    """Store a key.  `makers`: the person and the key that make it."""
    id, secret = ids.new(), secrets.new_api_key()
    prefix = secret[:PREFIX_CHARS]
    created_at = await identity.create_key(
        tx,
        id=id,
        org=org,
        hash=secrets.token_hash(secret),
        prefix=prefix,
        name=name,
        role=role,
        scopes=scopes,
        made_by=makers[0],
        made_by_key=makers[1],
        expires_at=expires_at,
    )
    await events.append(tx, org, id, events_pb2.ApiKeyCreatedEvent(name=name, role=role))
    return ApiKeyRow(id, prefix, name, role, scopes, created_at, expires_at, None, None), secret


async def require_valid_key(tx: Tx, principal: Principal) -> datetime | None:
    """Check that the key was not revoked since this request was admitted; return when it expires.  Raises Forbidden.

    Its revocation waits for this transaction, and then finds what the key has made.
    """
    if principal.key_id is None:
        return None
    is_valid, expires_at = await identity.valid_key(tx, principal.key_id)
    if not is_valid:
        raise Forbidden("This API key was revoked.")
    return expires_at


async def revoke_key(ctx: TransactionContext, id: UUID, *, keep_made: bool) -> None:
    """Revoke a key and the keys that it made, and those that they made, and delete their invitations.

    The key that asks stays valid, if it is not the one to revoke: so a key's successor can revoke it.  With `keep_made` the
    other keys stay too.  Raises NotFound, and Forbidden if the key that asks, or a maker of it, is to keep what it made.
    """
    tx, principal = ctx.tx, ctx.principal
    await identity.lock_keys(tx)
    if keep_made and principal.key_id is not None and await identity.descends(tx, principal.key_id, id):
        raise Forbidden("Only a person, or a key that the revoked one has not made, can keep the keys that it made.")
    await identity.revoke_key(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.ApiKeyRevokedEvent(by=principal.name))
    if keep_made:
        await identity.keep_keys_made_by(tx, id)
    spared = principal.key_id if principal.key_id != id else None
    # Each time waits for the keys that are being made by those that it revokes.
    while revoked := await identity.revoke_keys_made_by(tx, id, spared):
        for key in revoked:
            await events.append(tx, principal.org_id, key, events_pb2.ApiKeyRevokedEvent(by=principal.name))
            await _append(ctx, "revokeApiKey", ids.show(Kind.API_KEY, key))
    for invite in await identity.delete_invites_made_by(tx, id, spared):
        await _append(ctx, "deleteInvite", ids.show(Kind.INVITE, invite))


async def _append(ctx: TransactionContext, action: str, subject: str) -> None:
    await append_action(ctx.tx, ctx.principal.org_id, ctx.principal, action, subject, (), ctx.request_id)


def _texting_hours(row: OrganizationRow) -> tuple[object, ...]:
    """Return what the hours depend on that texts wait for (`control.texts.quiethours`)."""
    return row.time_zone, row.business_hours_json, row.quiet_hours_enabled, row.recipient_hours_enabled


async def update_organization(
    tx: Tx, principal: Principal, before: OrganizationRow, after: OrganizationRow, at: datetime
) -> None:
    """Change an organization; what waits for its hours follows new ones at once.  Raises InvalidRequest for new facts that agents can't use."""
    new_facts = after.business_identity_json
    if new_facts == before.business_identity_json:
        new_facts = None
    if new_facts and (problem := businessprofile.fault(new_facts)) is not None:
        place, reason = problem
        raise InvalidRequest([FieldError(f"organization.business_identity_json{place}", reason)])
    await identity.update_organization(tx, after)
    if _texting_hours(before) != _texting_hours(after):
        await text_runs.recheck(tx, principal.org_id, at)
        await sends.recheck(tx, principal.org_id, at)
    await events.append(tx, principal.org_id, principal.org_id, events_pb2.OrganizationUpdatedEvent(by=principal.name))
