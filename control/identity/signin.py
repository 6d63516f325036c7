"""SignInService (proto/hum/v1/runtime.proto): pending sign-ins, and the sessions that they open."""

from datetime import timedelta
from uuid import UUID

from control.boundary import NodeContext
from hum import ids, secrets
from hum.contract import validation
from hum.contract.errors import AlreadyExists, EmailUnverified, Forbidden, NotFound, SessionRequired
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2 as pb
from storage import audit, identity, sessions
from storage.db import Db, Tx
from storage.sessions import SignInRow

#: Hours without use after which a session ends.
SESSION_IDLE_HOURS = 12.0
#: Hours after which a session ends in any case.
SESSION_HOURS = 168.0
#: Seconds before a sign-in expires.
SIGN_IN_SECONDS = 600.0

LOG = log(__name__)
#: The linked accounts, at any issuers, that one person may have.
MOST_ACCOUNTS = 10


class SignInServicer:
    def __init__(self, db: Db, settings: ControlSettings) -> None:
        self._db, self._settings = db, settings

    async def BeginSignIn(self, request: pb.BeginSignInRequest, _: NodeContext) -> pb.BeginSignInResponse:
        async with self._db.system() as tx:
            links_user = await self._linking(tx, request.linking_token) if request.linking_token else None
            row = SignInRow(request.nonce, request.code_verifier, request.return_to, links_user)
            await sessions.store_sign_in(tx, secrets.token_hash(request.state), row, timedelta(seconds=SIGN_IN_SECONDS))
        return pb.BeginSignInResponse()

    async def TakeSignIn(self, request: pb.TakeSignInRequest, _: NodeContext) -> pb.TakeSignInResponse:
        async with self._db.system() as tx:
            row = await sessions.claim_sign_in(tx, secrets.token_hash(request.state))
        if row is None:
            raise NotFound("The sign-in is unknown, expired or already used.")
        return pb.TakeSignInResponse(
            nonce=row.nonce,
            code_verifier=row.code_verifier,
            return_to=row.return_to,
            links_user_id=ids.show(Kind.USER, row.links_user) if row.links_user else "",
        )

    async def OpenWebSession(self, request: pb.OpenWebSessionRequest, ctx: NodeContext) -> pb.OpenWebSessionResponse:
        token, lasts = secrets.new_token(), timedelta(hours=SESSION_HOURS)
        email = _verified_email(request, trust=self._settings.trust_email)
        async with self._db.system() as tx:
            if request.links_user_id:
                user = await self._link(tx, request, ctx.request_id)
            else:
                user = await _person(tx, request.issuer, request.subject, email)
            await sessions.record_use(tx, request.issuer, request.subject, email)
            await sessions.record_sign_in(tx, user, request.name, email)
            if request.previous_token:
                await sessions.close(tx, secrets.token_hash(request.previous_token))
            await sessions.open(
                tx,
                id=ids.new(),
                token_hash=secrets.token_hash(token),
                user=user,
                org=await sessions.home_of(tx, user),
                verified_email=email,
                idle=timedelta(hours=SESSION_IDLE_HOURS),
                lasts=lasts,
            )
        LOG.info("signed in", user=ids.show(Kind.USER, user), linked=bool(request.links_user_id))
        return pb.OpenWebSessionResponse(token=token, max_age_seconds=int(lasts.total_seconds()))

    async def _linking(self, tx: Tx, token: str) -> UUID:
        """Return the user of a fresh session.  Raises SessionRequired, Forbidden."""
        session = await sessions.owner(tx, secrets.token_hash(token), timedelta(seconds=self._settings.linking_seconds))
        if session is None:
            raise SessionRequired("Sign in first; then link the other account.")
        user, is_fresh = session
        if not is_fresh:
            raise Forbidden("You signed in too long ago to link an account. Sign in again, then link it.")
        return user

    async def _link(self, tx: Tx, request: pb.OpenWebSessionRequest, request_id: str) -> UUID:
        """Link the account to the signed-in user; return the user.  Raises SessionRequired, Forbidden, AlreadyExists."""
        user = await self._linking(tx, request.previous_token)
        if ids.show(Kind.USER, user) != request.links_user_id:
            raise SessionRequired("Another person has signed in since; begin again.")
        if len(await sessions.subjects_of(tx, user)) >= MOST_ACCOUNTS:
            raise Forbidden(
                f"You have {MOST_ACCOUNTS} accounts already; remove those you don't use (DELETE /api/me/sign-ins/...)."
            )
        owner, sign_in = await sessions.link(tx, request.issuer, request.subject, user)
        if owner != user:
            raise AlreadyExists("This account belongs to another person, who has signed in with it before.")
        if sign_in is not None:
            await audit.append_everywhere(
                tx,
                user,
                actor=f"user:{ids.show(Kind.USER, user)}",
                action="linkSignIn",
                subject=ids.show(Kind.SIGN_IN, sign_in),
                request_id=request_id,
            )
        return user

    async def CloseWebSession(self, request: pb.CloseWebSessionRequest, _: NodeContext) -> pb.CloseWebSessionResponse:
        async with self._db.system() as tx:
            await sessions.close(tx, secrets.token_hash(request.token))
        return pb.CloseWebSessionResponse()


def _verified_email(request: pb.OpenWebSessionRequest, *, trust: bool) -> str | None:
    """Return the address that the issuer verified; None without one, or if it is not acceptable for an account."""
    verified = request.email_verified or trust
    return request.email if verified and validation.bad_account_email(request.email) is None else None


async def _person(tx: Tx, issuer: str, subject: str, email: str | None) -> UUID:
    """Return the user of an issuer's subject; at the first sign-in, find or create the user by verified address.

    Refuse an address of a user who signs in with another account: addresses change hands.  Raises EmailUnverified,
    AlreadyExists.
    """
    existing = await sessions.person_of(tx, issuer, subject)
    if existing is not None:
        return existing
    if email is None:
        raise EmailUnverified(
            "The identity provider must send a verified e-mail address in ASCII at the first sign-in."
        )
    # This locks the user's row, which serializes concurrent first sign-ins.
    user = await identity.upsert_user(tx, ids.new(), email)
    accounts = await sessions.subjects_of(tx, user)
    if accounts and (issuer, subject) not in accounts:
        raise AlreadyExists(
            f"The address {email} belongs to a person who signs in with another account. Sign in with that account and "
            "link this one, or ask the operator to unlink it (hum admin unlink-sign-in)."
        )
    # If another user links the same account concurrently, `link` returns that user.
    return user if accounts else (await sessions.link(tx, issuer, subject, user))[0]
