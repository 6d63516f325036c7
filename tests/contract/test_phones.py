"""`GET /api/numbers/e164`: a phone number as a person wrote it, by the country of the organization's own numbers."""

from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import flow_with_number

PATH = "/api/numbers/e164"


async def test_a_number_is_read_by_the_country_of_the_organizations_own(edge: Edge) -> None:
    http = await flow_with_number(edge)
    cases = [
        ("317-555-0142", "+13175550142"),
        ("(317) 555 0142", "+13175550142"),
        ("+1 317.555.0142", "+13175550142"),
        ("+49 30 1234567", "+49301234567"),
        ("tel:+13175550142", "+13175550142"),
    ]
    for text, e164 in cases:
        answer = await http.get(PATH, params={"text": text})
        assert (answer.status_code, answer.json()) == (200, {"e164": e164}), text
    other = await http.get(PATH, params={"text": "030 1234567", "default_region": "DE"})
    assert other.json() == {"e164": "+49301234567"}


async def test_without_a_number_of_its_own_a_country_has_to_be_named(edge: Edge) -> None:
    http = await edge.client()
    read = await http.get(PATH, params={"text": "030 1234567", "default_region": "DE"})
    assert read.json() == {"e164": "+49301234567"}
    refused = await http.get(PATH, params={"text": "317-555-0142"})
    assert refused.json()["error"]["details"] == [
        {"field": "text", "reason": "has no country code, and there is no default region"}
    ]


async def test_what_is_no_number_is_refused(edge: Edge) -> None:
    http = await flow_with_number(edge)
    texts = ("", "Ana", "317-55", "+", "317-555-0142 ext. 5", "1" * 101, "317-555-0142; DROP TABLE calls")
    cases = [*({"text": text} for text in texts), {"text": "317-555-0142", "default_region": "usa"}]
    for query in cases:
        answer = await http.get(PATH, params=query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), query
        assert [each["field"] for each in answer.json()["error"]["details"]] == [[*query][-1]]


async def test_only_members_may_ask(edge: Edge) -> None:
    stranger = await edge.client()
    stranger.headers.pop("authorization", None)
    assert (await stranger.get(PATH, params={"text": "317-555-0142"})).status_code == 401
