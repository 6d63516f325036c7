"""SignInService (proto/hum/v1/runtime.proto): sign-ins in progress, and the sessions they end in."""

from datetime import timedelta
from uuid import UUID

from control.boundary import Call
from hum import ids, secrets
from hum.errors import EmailUnverified, NotFound
from hum.ids import Kind
from hum.settings import ControlSettings
from hum.telemetry import log
from hum.v1 import events_pb2
from hum.v1 import runtime_pb2 as pb
from storage import audit, events, identity, sessions
from storage.db import Db, Tx
from storage.sessions import SignInRow

LOG = log(__name__)


class SignInServicer:
    def __init__(self, db: Db, settings: ControlSettings) -> None:
        self._db, self._settings = db, settings

    async def BeginSignIn(self, request: pb.BeginSignInRequest, _: Call) -> pb.BeginSignInResponse:
        row = SignInRow(request.nonce, request.code_verifier, request.return_to)
        async with self._db.system() as tx:
            await sessions.begin(
                tx, secrets.token_hash(request.state), row, timedelta(seconds=self._settings.sign_in_seconds)
            )
        return pb.BeginSignInResponse()

    async def TakeSignIn(self, request: pb.TakeSignInRequest, _: Call) -> pb.TakeSignInResponse:
        async with self._db.system() as tx:
            row = await sessions.take(tx, secrets.token_hash(request.state))
        if row is None:
            raise NotFound("The sign-in is unknown, expired or already used.")
        return pb.TakeSignInResponse(nonce=row.nonce, code_verifier=row.code_verifier, return_to=row.return_to)

    async def OpenWebSession(self, request: pb.OpenWebSessionRequest, call: Call) -> pb.OpenWebSessionResponse:
        token, lasts = secrets.new_token(), timedelta(hours=self._settings.session_hours)
        verified = request.email_verified or self._settings.trust_email
        async with self._db.system() as tx:
            user = await _person(tx, request, verified=verified)
            await sessions.note_sign_in(tx, user, request.name, request.email if verified else None)
            if verified:
                await _join(tx, user, request.email, call.request_id)
            if request.previous_token:
                await sessions.close(tx, secrets.token_hash(request.previous_token))
            await sessions.open(
                tx,
                id=ids.new(),
                token_hash=secrets.token_hash(token),
                user=user,
                org=await sessions.home_of(tx, user),
                idle=timedelta(hours=self._settings.session_idle_hours),
                lasts=lasts,
            )
        LOG.info("signed in", user=ids.show(Kind.USER, user))
        return pb.OpenWebSessionResponse(token=token, max_age_seconds=int(lasts.total_seconds()))

    async def CloseWebSession(self, request: pb.CloseWebSessionRequest, _: Call) -> pb.CloseWebSessionResponse:
        async with self._db.system() as tx:
            await sessions.close(tx, secrets.token_hash(request.token))
        return pb.CloseWebSessionResponse()


async def _person(tx: Tx, request: pb.OpenWebSessionRequest, *, verified: bool) -> UUID:
    """The user the issuer vouches for: by subject, or the first time by verified address.  Raises EmailUnverified."""
    known = await sessions.person_of(tx, request.issuer, request.subject)
    if known is not None:
        return known
    if not verified or not request.email:
        raise EmailUnverified
    user = await identity.upsert_user(tx, ids.new(), request.email)
    await sessions.link(tx, request.issuer, request.subject, user)
    return user


async def _join(tx: Tx, user: UUID, email: str, request_id: str) -> None:
    for org in await sessions.accept_invites(tx, user, email):
        shown = ids.show(Kind.USER, user)
        await events.append(tx, org, user, events_pb2.MemberJoinedEvent(email=email))
        await audit.append(
            tx,
            org,
            actor=f"user:{shown}",
            actor_name=email,
            action="acceptInvite",
            subject=shown,
            request_id=request_id,
        )
