from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response
from twilio.request_validator import RequestValidator

from sandbox.twilio.webhooks import ConnectionOverrides, Courier, split_overrides
from tests.sandbox.twilio.conftest import Customer


@pytest.fixture
async def courier() -> AsyncIterator[Courier]:
    made = Courier("12345")
    yield made
    await made.close()


def test_overrides_come_out_of_the_fragment() -> None:
    url, overrides = split_overrides("https://h/voice?a=b#rc=5&rp=all&ct=2000&rt=5000")
    assert url == "https://h/voice?a=b"
    assert overrides == ConnectionOverrides(2000, 5000, 15000, 5, frozenset({"all"}))


def test_defaults_and_limits() -> None:
    assert split_overrides("https://h/v")[1] == ConnectionOverrides(5000, 15000, 15000, 1, frozenset({"ct"}))
    assert split_overrides("https://h/v#rc=99&ct=1&rp=ct,5xx,odd&e=dublin")[1] == ConnectionOverrides(
        100, 15000, 15000, 5, frozenset({"ct", "5xx"})
    )


async def test_it_is_signed_as_sent_and_retried_with_the_same_token(customer: Customer, courier: Courier) -> None:
    customer.answer("/hook", Response(status_code=503), Response(status_code=500), Response("fine"))
    webhook = await courier.send("status", f"{customer.url}/hook?q=1#rc=5&rp=5xx", {"Body": "a b+c", "Empty": ""})
    assert [each.status for each in webhook.attempts] == [503, 500, 200]
    assert webhook.error_code is None
    assert len({headers["i-twilio-idempotency-token"] for _, _, headers in customer.asked}) == 1
    for _, fields, headers in customer.asked:
        assert fields == {"Body": "a b+c", "Empty": ""}
        assert RequestValidator("12345").validate(f"{customer.url}/hook?q=1", fields, headers["x-twilio-signature"])


async def test_by_default_an_error_answer_is_not_retried(customer: Customer, courier: Courier) -> None:
    customer.answer("/hook", Response(status_code=500))
    webhook = await courier.send("status", f"{customer.url}/hook", {})
    assert (len(webhook.attempts), webhook.error_code) == (1, 11200)


async def test_a_get_carries_its_parameters_in_the_signed_query(customer: Customer, courier: Courier) -> None:
    webhook = await courier.send("voice", f"{customer.url}/hook?q=1", {"From": "+1 5"}, "GET")
    assert webhook.url == f"{customer.url}/hook?q=1&From=%2B1+5"
    (_, fields, headers) = customer.asked[0]
    assert fields == {}
    assert RequestValidator("12345").validate(webhook.url, {}, headers["x-twilio-signature"])


async def test_nobody_there(courier: Courier, unused_port: int) -> None:
    webhook = await courier.send("voice", f"http://127.0.0.1:{unused_port}/#rc=2", {})
    assert [each.error for each in webhook.attempts] == ["ct", "ct", "ct"]
    assert webhook.error_code == 11205


async def test_redirects_are_not_followed(customer: Customer, courier: Courier) -> None:
    customer.answer("/hook", Response(status_code=302, headers={"Location": "/else"}))
    assert (await courier.send("voice", f"{customer.url}/hook", {})).error_code == 11200
    assert customer.paths() == ["/hook"]
