"""Ids, secrets, node identities, validation: the basics that all planes share."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from hum import ids, rpc, secrets
from hum.clock import now
from hum.contract import validation
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.json import schemas
from hum.secrets import Keyring, SealContext, Unsealable
from hum.v1 import flows_pb2, identity_pb2

PLACE = SealContext("webhooks", UUID(int=1), UUID(int=2))


@given(st.uuids())
def test_an_id_survives_the_way_out_and_in(id: UUID) -> None:
    for kind in Kind:
        assert ids.parse(kind, ids.show(kind, id)) == id
        assert ids.parse(kind, ids.show(kind, id).replace("_", "!", 1) if kind.value else "x") is None


def test_ids_sort_by_birth_within_a_millisecond_too() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    made = [ids.new(at) for _ in range(1000)]
    assert made == sorted(set(made)) and {ids.created_at(id) for id in made} == {at}
    assert len({later.int - id.int for id, later in pairwise(made)}) == 999, "the next one can't be guessed"
    assert ids.new(at - timedelta(milliseconds=1)) < made[0], "as the clock says, even if it was set back"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "flow_",
        "flow_8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "call_01HVN0000000000000000000ZZ",
        "flow_01HVN0000000000000000000Z",
        "flow_01HVN0000000000000000000UU",
    ],
)
def test_what_is_no_flow_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        ids.require(Kind.FLOW, text)


@given(st.binary(max_size=100))
def test_a_secret_opens_only_where_it_was_sealed(secret: bytes) -> None:
    old, new = (1, b"a" * 32), (2, b"b" * 32)
    before, rotated = Keyring([old]), Keyring([new, old])
    blob = before.seal(secret, PLACE)
    assert rotated.open(blob, PLACE) == secret
    assert rotated.open(rotated.seal(secret, PLACE), PLACE) == secret
    with pytest.raises(Unsealable):
        before.open(rotated.seal(secret, PLACE), PLACE)
    for other in (
        SealContext("tokens", PLACE.row, PLACE.organization),
        SealContext("webhooks", UUID(int=3), PLACE.organization),
        SealContext("webhooks", PLACE.row, UUID(int=3)),
    ):
        with pytest.raises(Unsealable):
            rotated.open(blob, other)
    with pytest.raises(Unsealable):
        rotated.open(blob[:-1] + bytes([blob[-1] ^ 1]), PLACE)
    with pytest.raises(Unsealable):
        rotated.open(blob[:5], PLACE)


def test_keyrings_are_refused_when_they_are_none() -> None:
    for text in ("", "1:c2hvcnQ="):
        with pytest.raises(ValueError, match="HUM_SECRET_KEYS must hold"):
            Keyring.parse(text)


def test_api_keys_are_long_and_of_one_shape() -> None:
    made = {secrets.new_api_key() for _ in range(20)}
    assert len(made) == 20
    assert all(key.startswith("hum_live_") and len(key) == 9 + 43 and key[9:].isalnum() for key in made)


def test_a_node_proves_itself_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = rpc.NodeIdentity(b"k" * 32, "media", "m1").metadata()
    token = value.removeprefix(rpc.NODE_SCHEME)
    assert name == rpc.CREDENTIAL
    assert rpc.verify_node(b"k" * 32, token) == rpc.Node("media", "m1")
    assert rpc.verify_node(b"x" * 32, token) is None
    for damaged in ("", "a.b.c", token[:-2] + "xx", token.partition(".")[2]):
        assert rpc.verify_node(b"k" * 32, damaged) is None
    later = now().timestamp() + 61
    monkeypatch.setattr(rpc, "now", lambda: type("Then", (), {"timestamp": lambda _: later})())
    assert rpc.verify_node(b"k" * 32, token) is None


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"iat": 0, "exp": 60}, True),
        ({"iat": 9, "exp": 69}, True),  # clocks differ
        ({"iat": 0, "exp": 61}, False),
        ({"iat": 0, "exp": 86_400}, False),
        ({"exp": 60}, False),
        ({"iat": 3600, "exp": 3660}, False),  # made in the future: it would last an hour
        ({"iat": -70, "exp": -10}, False),
        ({"iat": "0", "exp": 60}, False),
    ],
)
def test_a_node_can_not_prove_itself_for_longer(claims: dict[str, int | str], good: bool) -> None:
    at = int(now().timestamp())
    moved = {name: at + value if isinstance(value, int) else value for name, value in claims.items()}
    token = jwt.encode({"alg": "HS256"}, {"plane": "media", "node": "m", **moved}, OctKey.import_key(b"k" * 32))
    assert rpc.verify_node(b"k" * 32, token) == (rpc.Node("media", "m") if good else None)


def test_an_unsigned_identity_is_none() -> None:
    import base64

    def part(claims: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    forged = part({"alg": "none"}) + "." + part({"plane": "media", "node": "m", "exp": 9e9}) + "."
    assert rpc.verify_node(b"k" * 32, forged) is None


@pytest.mark.parametrize("number", ["+13175551234", "+15551234567", "+442079460000", "+4915112345678"])
def test_numbers_that_are_possible(number: str) -> None:
    assert validation.bad_e164(number) is None


@pytest.mark.parametrize(
    "number",
    [
        "",
        "3175551234",
        "+1 317 555 1234",
        "+1317555",
        "+1317555123456789",
        "+0",
        "tel:+13175551234",
        "+13175551234;ext=5",
    ],
)
def test_numbers_that_are_not(number: str) -> None:
    assert validation.bad_e164(number) is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_text_breaks_a_check(value: object) -> None:
    for check in validation.FORMATS.values():
        check(str(value))


def test_json_has_a_depth() -> None:
    assert schemas.bad_json("[" * 64 + "]" * 64) is None
    assert schemas.bad_json("[" * 65 + "]" * 65) == "is nested deeper than 64 levels"
    assert schemas.bad_json('{"a":' * 65 + "1" + "}" * 65) == "is nested deeper than 64 levels"
    assert schemas.bad_json(" 7 ") == schemas.bad_json('"[]"') == "must be a JSON object or array"
    assert schemas.bad_value(" 7 ") is schemas.bad_value('"[]"') is None
    assert schemas.bad_json("[" * 40_000 + "]" * 40_000) in {"is not JSON", "is larger than 65536 bytes"}


def test_an_update_is_checked_by_its_mask() -> None:
    request = flows_pb2.UpdateFlowRequest(flow=flows_pb2.Flow(greeting="x"))
    assert validation.check(request) == []
    request.update_mask.paths.extend(["name", "nonsense"])
    assert dict(validation.check(request)) == {
        "flow.name": "can't be cleared",
        "update_mask.nonsense": "is not a field",
    }
    missing = identity_pb2.CreateApiKeyRequest(api_key=identity_pb2.ApiKey())
    assert dict(validation.check(missing)) == {"api_key.name": "is required", "api_key.role": "is required"}
    assert dict(validation.check(flows_pb2.CreateFlowRequest())) == {"flow": "value is required"}
