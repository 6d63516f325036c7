"""The table of docs/contract.md: reason first, then gRPC's code."""

import json
import re
from pathlib import Path

from grpc import StatusCode

from gateway import errors
from gateway.bodies import BadBody, ClientDisconnected
from hum.contract import errors as hum
from hum.contract.errors import FieldError
from hum.v1 import calls_pb2, flows_pb2

CONTRACT = Path(__file__).parents[2] / "docs/contract.md"


def test_every_reason_that_we_raise_has_a_status() -> None:
    refusals = [
        kind
        for kind in vars(hum).values()
        if isinstance(kind, type) and issubclass(kind, hum.RequestRefused) and kind is not hum.RequestRefused
    ]
    assert len(refusals) > 10
    for kind in refusals:
        assert kind.reason in errors.BY_REASON, kind
        assert StatusCode[kind.code]


def test_the_table_in_the_docs_is_the_table_in_the_code() -> None:
    documented: dict[str, int] = {}
    for line in CONTRACT.read_text().splitlines():
        if found := re.match(r"\| (`[A-Z_`, ]+) \| (\d{3}) \|", line):
            documented |= dict.fromkeys(re.findall(r"[A-Z][A-Z_]+", found[1]), int(found[2]))
    assert documented == dict(errors.BY_REASON)


def test_fields_are_named_as_the_client_wrote_them() -> None:
    create = flows_pb2.CreateFlowRequest.DESCRIPTOR
    rename = errors.Rename(create, create.fields_by_name["flow"])
    assert rename("flow.name") == "name"
    assert rename("flow.filler_phrases[2]") == "filler_phrases[2]"
    assert rename("flow") == "body"
    listing = errors.Rename(calls_pb2.ListCallsRequest.DESCRIPTOR)
    assert listing("created_from") == "created_from"
    assert errors.Rename()("limit") == "limit"


def test_fields_are_renamed_at_every_depth() -> None:
    rename = errors.Rename(calls_pb2.ListCallsResponse.DESCRIPTOR)
    assert rename("calls[3].from_e164") == "calls[3].from"
    assert rename('calls[3].tags["a.b[0]"]') == 'calls[3].tags["a.b[0]"]'
    assert rename("calls[3].nonsense.from_e164") == "calls[3].nonsense.from_e164"


def test_what_holds_a_path() -> None:
    assert list(errors.prefixes('a.b["x.y"].c')) == ["a", "a.b", 'a.b["x.y"]', 'a.b["x.y"].c']


def test_a_refusal_that_is_raised_is_answered_by_its_reason_or_its_code() -> None:
    for error, status, code in (
        (BadBody("PAYLOAD_TOO_LARGE", "The body is too large."), 413, "payload_too_large"),
        (ClientDisconnected(), 499, "cancelled"),
        (hum.Forbidden(), 403, "forbidden"),
        (hum.SessionRequired(), 401, "session_required"),
        (hum.InvalidRequest([FieldError("limit", "is too large")]), 400, "invalid_request"),
    ):
        answer = errors.refusal_of(error, "req_1")
        told = json.loads(bytes(answer.body))["error"]
        assert (answer.status_code, told["code"], told["request_id"]) == (status, code, "req_1")
        assert told["message"]
    assert told["details"] == [{"field": "limit", "reason": "is too large"}]
