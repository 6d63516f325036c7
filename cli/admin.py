"""`hum admin`: operator commands, over gRPC with a node identity.  Prints JSON, except for `make-keys`."""

import json
import sys
from collections.abc import Callable
from typing import Any

from grpc import aio

from cli.operator import operator, sentence
from hum.process import production
from hum.settings import UpSettings
from hum.settings import load as load_settings
from hum.v1 import options_pb2, runtime_pb2

CALL_SECONDS, REBUILD_SECONDS = 10.0, 3600.0


async def create_org(name: str, owner_email: str, *, same_name: bool) -> int:
    request = runtime_pb2.CreateOrganizationRequest(name=name, owner_email=owner_email, same_name=same_name)
    return await _call("CreateOrganization", request, lambda answer: {"id": answer.id})


async def list_orgs(limit: int, cursor: str) -> int:
    """Print a page of the organizations, newest first; `next_cursor` is null on the last."""
    request = runtime_pb2.ListOrganizationsRequest(limit=limit, cursor=cursor)
    return await _call("ListOrganizations", request, _page_json)


async def delete_org(org: str, name: str) -> int:
    """Delete an organization until nothing of it is left.

    Return 1 if that is refused, or if some files can't be deleted at the moment, which the worker then retries.
    """
    request = runtime_pb2.DeleteOrganizationRequest(organization_id=org, name=name)
    rows = -1
    async with operator(load_settings(UpSettings)) as control:
        while True:
            try:
                answer = await control.stub.DeleteOrganization(
                    request, metadata=control.metadata, timeout=REBUILD_SECONDS
                )
            except aio.AioRpcError as error:
                sys.stderr.write(f"hum: {sentence(error, control.address)}\n")
                return 1
            if answer.done or answer.rows == rows:
                break
            rows = answer.rows
    if not answer.done:
        sys.stderr.write("hum: some files can't be deleted at the moment; the worker goes on until they are\n")
    result = {"done": answer.done, "rows": answer.rows, "numbers_left_at_carrier": list(answer.numbers)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if answer.done else 1


def _page_json(page: runtime_pb2.ListOrganizationsResponse) -> dict[str, Any]:
    organizations = [
        {"id": organization.id, "name": organization.name, "created_at": organization.created_at.ToJsonString()}
        for organization in page.organizations
    ]
    return {"organizations": organizations, "next_cursor": page.next_cursor or None}


async def create_api_key(org: str, role: str, scopes: list[str], name: str) -> int:
    request = runtime_pb2.IssueApiKeyRequest(
        organization_id=org, role=options_pb2.Role.Value(f"ROLE_{role.upper()}"), scopes=scopes, name=name
    )
    return await _call("IssueApiKey", request, lambda answer: {"id": answer.id, "key": answer.key})


async def rebuild_analytics() -> int:
    request = runtime_pb2.RebuildAnalyticsRequest()
    return await _call("RebuildAnalytics", request, lambda answer: {"quarters": answer.quarters})


async def rebuild_usage() -> int:
    request = runtime_pb2.RebuildUsageRequest()
    return await _call("RebuildUsage", request, lambda answer: {"entries": answer.entries}, REBUILD_SECONDS)


async def jobs(limit: int) -> int:
    """Print the quarantined jobs, events and reports, oldest first."""
    request = runtime_pb2.ListSetAsideRequest(limit=limit)
    return await _call(
        "ListSetAside", request, lambda answer: {"set_aside": list(map(_quarantine_json, answer.set_aside))}
    )


def _quarantine_json(entry: runtime_pb2.SetAside) -> dict[str, Any]:
    at, org = entry.at.ToJsonString(), entry.organization_id or None
    return {"id": entry.id, "about": entry.about, "organization_id": org, "at": at, "reason": entry.reason}


async def release_jobs(ids: list[str]) -> int:
    request = runtime_pb2.ReleaseSetAsideRequest(ids=ids)
    return await _call("ReleaseSetAside", request, lambda answer: {"released": answer.released})


async def assign_number(e164: str, org: str) -> int:
    request = runtime_pb2.AssignNumberRequest(organization_id=org, e164=e164)
    return await _call("AssignNumber", request, lambda answer: {"id": answer.id})


async def make_site_admin(email: str, *, site_admin: bool) -> int:
    request = runtime_pb2.SetSiteAdminRequest(email=email, site_admin=site_admin)
    return await _call("SetSiteAdmin", request, lambda answer: {"id": answer.user_id})


async def unlink_sign_in(email: str, issuer: str) -> int:
    request = runtime_pb2.UnlinkSignInRequest(email=email) if email else runtime_pb2.UnlinkSignInRequest(issuer=issuer)
    return await _call("UnlinkSignIn", request, lambda answer: {"unlinked": answer.unlinked})


async def reseal(*, dry_run: bool) -> int:
    """Reseal secrets until all that can be opened are done; return 1 if some can't be opened."""
    resealed = 0
    async with operator(load_settings(UpSettings)) as control:
        while True:
            try:
                answer = await control.stub.ResealSecrets(
                    runtime_pb2.ResealSecretsRequest(dry_run=dry_run), metadata=control.metadata, timeout=30
                )
            except aio.AioRpcError as error:
                sys.stderr.write(f"hum: {sentence(error, control.address)}\n")
                return 1
            resealed += answer.resealed
            if dry_run or not answer.resealed:
                break
    result = {"resealed": resealed, "unsealable": answer.unsealable, "left": answer.left}
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if answer.unsealable else 0


def make_keys() -> int:
    """Print new keys as lines of an environment file: `HUM_NODE_KEY=...`.  They are stored nowhere."""
    sys.stdout.writelines(f"{name}={key}\n" for name, key in production.make_keys().items())
    return 0


async def _call(
    method: str, request: object, show: Callable[[Any], dict[str, Any]], seconds: float = CALL_SECONDS
) -> int:
    async with operator(load_settings(UpSettings)) as control:
        try:
            answer = await getattr(control.stub, method)(request, metadata=control.metadata, timeout=seconds)
        except aio.AioRpcError as error:
            sys.stderr.write(f"hum: {sentence(error, control.address)}\n")
            return 1
    sys.stdout.write(json.dumps(show(answer)) + "\n")
    return 0
