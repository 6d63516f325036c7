"""The table of docs/contract.md: reason first, then gRPC's code."""

import re
from pathlib import Path

from grpc import StatusCode

from gateway import errors
from hum import errors as hum

CONTRACT = Path(__file__).parents[2] / "docs/contract.md"


def test_every_reason_that_we_raise_has_a_status() -> None:
    refusals = [
        kind
        for kind in vars(hum).values()
        if isinstance(kind, type) and issubclass(kind, hum.Refused) and kind is not hum.Refused
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
    rename = errors.Rename("flow", {"created_from": "from"})
    assert rename("flow.name") == "name"
    assert rename("flow") == "body"
    assert rename("created_from") == "from"
    assert errors.Rename(None, {})("limit") == "limit"
