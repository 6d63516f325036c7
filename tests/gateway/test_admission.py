"""Requests of one credential that come at the same time are one question to control."""

import asyncio
from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata
from starlette.requests import Request

from gateway.admission import ClientAdmission
from gateway.credentials import ADDRESS, ClientCredentials, Cookies
from hum import rpc, secrets


class Control:
    """The channel to a control that answers questions when it is told to."""

    def __init__(self) -> None:
        self.asked, self.may_answer = list[dict[str, str]](), asyncio.Event()
        self.refusal: AioRpcError | None = None

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        async def get_me(_: Any, *, metadata: Any, timeout: float) -> None:
            self.asked.append(dict(metadata))
            await self.may_answer.wait()
            if self.refusal is not None:
                raise self.refusal

        return get_me


@pytest.fixture
async def control() -> Control:
    return Control()


@pytest.fixture
def admission(control: Control) -> ClientAdmission:
    client = ClientCredentials(Cookies("http://test"), rpc.NodeIdentity(b"k" * 32, "gateway", "g"))
    return ClientAdmission(control, client, 10.0)  # type: ignore[arg-type]


KEY = secrets.new_api_key()


def admit(admission: ClientAdmission, key: str = KEY, organization: str = "") -> asyncio.Task[None]:
    headers = [(b"authorization", b"Bearer " + key.encode())]
    if organization:
        headers.append((b"hum-organization", organization.encode()))
    return asyncio.create_task(admission.admit(Request({"type": "http", "headers": headers, ADDRESS: "203.0.113.7"})))


async def asked(control: Control, questions: int) -> None:
    while len(control.asked) < questions:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(control.asked) == questions


async def test_requests_at_the_same_time_share_a_question(control: Control, admission: ClientAdmission) -> None:
    requests = [admit(admission) for _ in range(5)]
    await asked(control, 1)
    control.may_answer.set()
    await asyncio.gather(*requests)
    await admit(admission)
    assert len(control.asked) == 1 and not admission._questions


async def test_a_request_that_is_cancelled_does_not_cancel_the_others(
    control: Control, admission: ClientAdmission
) -> None:
    first, *others = [admit(admission) for _ in range(3)]
    await asked(control, 1)
    first.cancel()
    await asyncio.wait((first,))
    assert first.cancelled()
    others.append(admit(admission))
    await asked(control, 1)
    control.may_answer.set()
    await asyncio.gather(*others)


async def test_each_gets_the_refusal_and_the_next_asks_anew(control: Control, admission: ClientAdmission) -> None:
    control.refusal = AioRpcError(StatusCode.UNAUTHENTICATED, Metadata(), Metadata(), "unknown key")
    requests = [admit(admission) for _ in range(3)]
    await asked(control, 1)
    control.may_answer.set()
    assert await asyncio.gather(*requests, return_exceptions=True) == [control.refusal] * 3
    control.refusal = None
    await admit(admission)
    assert len(control.asked) == 2


async def test_other_credentials_and_other_organizations_ask_for_themselves(
    control: Control, admission: ClientAdmission
) -> None:
    requests = [
        *(admit(admission, organization="org_1") for _ in range(2)),
        admit(admission, organization="org_2"),
        admit(admission),
        admit(admission, secrets.new_api_key()),
    ]
    await asked(control, 4)
    assert [each.get(rpc.ORGANIZATION) for each in control.asked] == ["org_1", "org_2", None, None]
    control.may_answer.set()
    await asyncio.gather(*requests)
