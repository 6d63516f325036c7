"""REST as clients see it: every route of the contract, over real HTTP, gRPC and PostgreSQL."""

import asyncio
import json

import httpx
import pytest

from tests.contract.conftest import Edge
from tests.support.cases import in_turn
from tests.support.examples import examples, sample


async def test_me_with_a_key(edge: Edge) -> None:
    async with await edge.client() as http:
        me = (await http.get("/api/me")).json()
        assert me["user"] is None
        assert (me["organization"]["name"], me["organization"]["time_zone"], me["role"]) == ("Clinic", "UTC", "admin")
        assert me["organizations"] == [{"id": me["organization"]["id"], "name": "Clinic", "role": "admin"}]


async def test_the_guides_flow_is_created_as_the_guide_says(edge: Edge) -> None:
    body = {
        "name": "Clinic intake",
        "kind": "inbound",
        "greeting": "Thanks for calling. I can help collect your request.",
        "system_prompt": "Gather the caller's name.",
        "voicemail_enabled": 1,
        "announce_recording": 1,
    }
    async with await edge.client() as http:
        answer = await http.post("/api/flows", json=body)
        assert answer.status_code == 201
        flow = answer.json()
        assert (flow["voicemail_enabled"], flow["announce_recording"], flow["kind"]) == (True, True, "inbound")
        assert (flow["channel"], flow["trigger_type"], flow["machine_action"], flow["tools_json"]) == (
            "voice",
            "call",
            None,
            None,
        )
        assert flow["created_at"].endswith("Z")
        assert (await http.get(f"/api/flows/{flow['id']}")).json() == flow
        assert (await http.get("/api/flows")).json() == {"flows": [flow], "next_cursor": None}


async def test_free_form_json_comes_back_as_it_was_written(edge: Edge) -> None:
    written = '[{"name": "a", "z": 1.10, "a": [12345678901234567890, 1e2], "ü": "\\u00e9"}]'
    async with await edge.client() as http:
        other = (await http.post("/api/flows", json={"name": "Other"})).json()["id"]
        tags = f'{{ "b": "{other}","a":"{other}" }}'
        body = '{"name": "F", "tools_json": ' + written + ', "route_tags_json": ' + json.dumps(tags) + "}"
        answer = await http.post("/api/flows", content=body.encode(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        assert f'"tools_json":{written}' in answer.text
        assert f'"route_tags_json":{tags}' in answer.text
        again = await http.get(f"/api/flows/{answer.json()['id']}")
        assert f'"tools_json":{written}' in again.text


async def test_a_patch_changes_what_it_names_and_null_clears(edge: Edge) -> None:
    async with await edge.client() as http:
        id = (await http.post("/api/flows", json={"name": "F", "greeting": "Hi", "voice": "cedar"})).json()["id"]
        flow = (await http.patch(f"/api/flows/{id}", json={"greeting": None, "recording_enabled": True})).json()
        assert (flow["greeting"], flow["voice"], flow["recording_enabled"], flow["version"]) == (None, "cedar", True, 2)
        refused = await http.patch(f"/api/flows/{id}", json={"name": None})
        assert refused.json()["error"]["details"] == [{"field": "name", "reason": "can't be cleared"}]
        versions = (await http.get(f"/api/flows/{id}/versions", params={"limit": 1})).json()
        assert [each["version"] for each in versions["versions"]] == [2]
        rest = await http.get(f"/api/flows/{id}/versions", params={"limit": 1, "cursor": versions["next_cursor"]})
        assert [each["version"] for each in rest.json()["versions"]] == [1]


async def test_one_400_names_every_bad_field(edge: Edge) -> None:
    async with await edge.client() as http:
        body = {
            "surprise": 1,
            "kind": "sideways",
            "voicemail_enabled": "maybe",
            "max_call_seconds": 5,
            "tools_json": "not json",
            "id": "flow_1",
            "language": "?",
            "filler_phrases": ["ok", 3],
        }
        answer = await http.post("/api/flows", json=body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "invalid_request"
        assert error["request_id"] == answer.headers["x-request-id"]
        said = {each["field"]: each["reason"] for each in error["details"]}
        assert said.keys() == {
            "surprise",
            "kind",
            "voicemail_enabled",
            "max_call_seconds",
            "tools_json",
            "id",
            "language",
            "filler_phrases[1]",
            "name",
        }
        assert said["kind"] == "must be one of inbound, outbound"
        assert said["language"] == "must be a language tag, for example en or en-US"
        assert (await http.get("/api/flows")).json()["flows"] == []


@in_turn(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/flows/flow_01HVN0000000000000000000ZZ", 404, "not_found"),
        ("GET", "/api/flows/call_01HVN0000000000000000000ZZ", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("PUT", "/api/flows", 405, "method_not_allowed"),
        ("GET", "/api/flows?limit=0", 400, "invalid_request"),
        ("GET", "/api/flows?limit=many", 400, "invalid_request"),
        ("GET", "/api/flows?page=2", 400, "invalid_request"),
        ("GET", "/api/flows?cursor=nonsense", 400, "invalid_cursor"),
        ("GET", "/api/calls?status=sleeping", 400, "invalid_request"),
        ("GET", "/api/calls?created_from=yesterday", 400, "invalid_request"),
        ("GET", "/api/calls?from=yesterday", 400, "invalid_request"),
        ("GET", "/api/analytics?from=2026-03-02&to=2026-03-01", 400, "invalid_request"),
        ("GET", "/api/analytics?from=20260301", 400, "invalid_request"),
        ("GET", "/api/flows/", 404, "not_found"),
    ],
)
async def test_what_is_refused_is_refused_in_one_shape(
    edge: Edge, method: str, path: str, status: int, code: str
) -> None:
    async with await edge.client() as http:
        answer = await http.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert set(answer.json()["error"]) == {"code", "message", "details", "request_id"}
        if status == 405:
            assert answer.headers["allow"] == "GET, HEAD, POST"


@in_turn(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"[1]", "application/json", 400, "invalid_json"),
        (b'{"name": "\xff"}', "application/json", 400, "invalid_json"),
        (b'{"name": "a\\u0000b"}', "application/json", 400, "invalid_request"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"name": "' + b"x" * (65 << 10) + b'"}', "application/json", 413, "payload_too_large"),
        (b"[" * 100_000, "application/json", 413, "payload_too_large"),
        (b'{"tools_json": ' + b"[" * 65 + b"]" * 65 + b', "name": "x"}', "application/json", 400, "invalid_request"),
    ],
)
async def test_bodies_that_are_none(edge: Edge, content: bytes, kind: str, status: int, code: str) -> None:
    async with await edge.client() as http:
        answer = await http.post("/api/flows", content=content, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


async def test_a_body_of_brackets_is_refused(edge: Edge) -> None:
    body = b'{"name": "x", "tools_json": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    async with await edge.client() as http:
        answer = await http.post("/api/flows", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, "parsers differ in how deep they read; we refuse in any case"


async def test_credentials(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        nobody = await http.get("/api/me")
        assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "session_required")
        wrong = await http.get("/api/me", headers={"Authorization": "Bearer hum_live_x"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "api_key_required")
    async with await edge.client() as http:
        made = (
            await http.post("/api/api-keys", json={"name": "reader", "role": "viewer", "scopes": ["flows:read"]})
        ).json()
        reader = {"Authorization": f"Bearer {made['secret']}"}
        assert made["secret"].startswith(made["prefix"])
        assert (await http.get("/api/flows", headers=reader)).status_code == 200
        for path, code in (("/api/calls", "insufficient_scope"), ("/api/api-keys", "forbidden")):
            refused = await http.get(path, headers=reader)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, code)
        listed = (await http.get("/api/api-keys")).json()["api_keys"]
        assert [each["secret"] for each in listed] == [None, None]
        assert (await http.delete(f"/api/api-keys/{made['id']}")).status_code == 204
        assert (await http.get("/api/flows", headers=reader)).status_code == 401


async def test_an_update_without_a_body_is_refused(edge: Edge) -> None:
    async with await edge.client() as http:
        refused = await http.patch("/api/organization")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_json")
        assert (await http.patch("/api/organization", json={})).status_code == 200, "an empty one changes nothing"


@pytest.mark.sampled
async def test_an_idempotency_key_has_one_effect(edge: Edge) -> None:
    async with await edge.client() as http:
        key = {"Idempotency-Key": "one"}
        answers = await asyncio.gather(
            *(http.post("/api/flows", json={"name": "F"}, headers=key) for _ in range(examples(100, 30)))
        )
        made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(made) == 1
        assert {answer.status_code for answer in answers} <= {201, 409}
        again = await http.post("/api/flows", json={"name": "F"}, headers=key)
        assert (again.status_code, again.headers["idempotent-replayed"], again.json()["id"]) == (
            201,
            "true",
            made.pop(),
        )
        other = await http.post("/api/flows", json={"name": "G"}, headers=key)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_mismatch")
        assert len((await http.get("/api/flows")).json()["flows"]) == 1


@in_turn(("key",), ["", "x" * 256, "a\x7f", "\u00e9"])
async def test_an_idempotency_key_is_plain(edge: Edge, key: str) -> None:
    async with await edge.client() as http:
        answer = await http.post("/api/flows", json={"name": "F"}, headers={b"Idempotency-Key": key.encode()})
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, "Idempotency-Key")
        odd = await http.get("/api/flows", headers={b"Authorization": b"Bearer \x7f\xe9"})
        assert odd.status_code == 401


async def test_numbers(edge: Edge) -> None:
    async with await edge.client() as http:
        voice = (await http.post("/api/flows", json={"name": "V"})).json()["id"]
        sms = (await http.post("/api/flows", json={"name": "S", "channel": "sms"})).json()["id"]
        made = await http.post("/api/numbers", json={"e164": "+13175550100", "flow_id": voice, "sms_flow_id": sms})
        assert made.status_code == 201, made.text
        number = made.json()
        assert len(number["id"]) == 26
        assert number["capabilities"] == {"voice": True, "sms": True, "mms": False}
        assert (
            edge.plane.carrier.pointed["PN0"].voice_url
            == "http://127.0.0.1:8080/twilio/voice#rc=5&rp=all&ct=2000&rt=5000"
        )
        for e164, status, code in (
            ("+13175550100", 409, "already_exists"),
            ("+13175559999", 404, "not_at_carrier"),
            ("3175550101", 400, "invalid_request"),
        ):
            refused = await http.post("/api/numbers", json={"e164": e164})
            assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        async with await edge.client("Other") as other:
            assert (await other.get(f"/api/numbers/{number['id']}")).status_code == 404
        wrong = await http.patch(f"/api/numbers/{number['id']}", json={"flow_id": sms})
        assert wrong.json()["error"]["details"] == [
            {"field": "flow_id", "reason": "must be a flow of the channel voice"}
        ]
        assert (await http.patch(f"/api/numbers/{number['id']}", json={"e164": "+13175550101"})).status_code == 400
        changed = (
            await http.patch(
                f"/api/numbers/{number['id']}", json={"flow_id": None, "sms_enabled": True, "friendly_name": "Desk"}
            )
        ).json()
        assert (changed["flow_id"], changed["sms_enabled"], changed["friendly_name"]) == (None, True, "Desk")
        assert (await http.get("/api/numbers")).json()["numbers"] == [changed]


async def test_a_carrier_that_fails_leaves_no_number(edge: Edge) -> None:
    from hum.contract.errors import CarrierError

    edge.plane.carrier.fail = CarrierError("the carrier refused", carrier_code="20003")
    async with await edge.client() as http:
        answer = await http.post("/api/numbers", json={"e164": "+13175550100"})
        assert (answer.status_code, answer.json()["error"]["details"]) == (502, [{"carrier_code": "20003"}])
        assert (await http.get("/api/numbers")).json()["numbers"] == []


async def test_the_organization_changes_all_at_once_or_not(edge: Edge) -> None:
    hours = {"time_zone": "America/New_York", "weekly": {"mon": [["09:00", "17:00"]]}, "holidays": ["2026-12-25"]}
    async with await edge.client() as http:
        answer = await http.patch(
            "/api/organization",
            json={
                "time_zone": "Europe/Berlin",
                "business_hours_json": hours,
                "keyword_replies": "hum",
                "keyword_texts_json": {"help": "Call us."},
            },
        )
        assert answer.status_code == 200, answer.text
        assert (await http.get("/api/organization")).json() == answer.json()
        assert answer.json()["business_hours_json"] == hours
        assert answer.json()["keyword_texts_json"] == {"help": "Call us."}
        refused = await http.patch("/api/organization", json={"name": "X", "time_zone": "Mars/Olympus"})
        assert [each["field"] for each in refused.json()["error"]["details"]] == ["time_zone"]
        assert (await http.get("/api/organization")).json()["name"] == "Clinic"


@pytest.mark.sampled
async def test_the_document_describes_what_stands(edge: Edge) -> None:
    async with await edge.client() as http:
        document = (await http.get("/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        stands = [(verb, path) for path, operations in document["paths"].items() for verb in operations]
        assert all(document["paths"][path][verb]["summary"] for verb, path in stands)
        for verb, path in sample(stands, 5):
            async with http.stream(verb.upper(), path.replace("{id}", "x")) as answer:  # some go on for ever
                assert answer.status_code not in {405, 501}, (verb, path)
        assert (await http.get("/openapi.yaml")).text.startswith("openapi: 3.1")


async def test_health_readiness_and_metrics(edge: Edge) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for url in (edge.url, edge.metrics_url):
            assert (await http.get(f"{url}/healthz")).text == "ok\n"
            assert (await http.get(f"{url}/readyz")).status_code == 200
        assert "hum_http_seconds" in (await http.get(f"{edge.metrics_url}/metrics")).text
        assert (await http.get(f"{edge.url}/metrics")).status_code == 404  # not where strangers are


async def test_request_ids_are_kept_or_made(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        mine = await http.get("/healthz", headers={"X-Request-Id": "abc-1"})
        assert mine.headers["x-request-id"] == "abc-1"
        theirs = await http.get("/healthz", headers={"X-Request-Id": "no good"})
        assert theirs.headers["x-request-id"].startswith("req_")


async def test_numbers_are_found_bought_and_released(edge: Edge) -> None:
    async with await edge.client() as http:
        found = await http.get("/api/numbers/available", params={"area_code": "317", "limit": 2, "capabilities": "sms"})
        assert [each["e164"] for each in found.json()["numbers"]] == ["+13175550200", "+13175550201"]
        bad = await http.get(
            "/api/numbers/available", params={"area_code": "x", "country": "usa", "capabilities": "fax"}
        )
        assert {each["field"].partition("[")[0] for each in bad.json()["error"]["details"]} == {
            "area_code",
            "country",
            "capabilities",
        }
        once = {"Idempotency-Key": "k"}
        bought = await http.post("/api/numbers/buy", json={"e164": "+13175550200"}, headers=once)
        assert (bought.status_code, bought.json()["e164"]) == (201, "+13175550200")
        again = await http.post("/api/numbers/buy", json={"e164": "+13175550200"}, headers=once)
        assert again.json() == bought.json() and again.headers["idempotent-replayed"] == "true"
        gone = await http.post("/api/numbers/buy", json={"e164": "+13175550200"})
        assert (gone.status_code, gone.json()["error"]["code"]) == (409, "conflict")
        assert (await http.post("/api/numbers/sync", json={})).json() == {
            "added": 10,
            "updated": 0,
            "gone": 0,
            "elsewhere": 0,
        }
        async with await edge.client("Other") as other:
            assert (await other.post("/api/numbers/sync", json={})).json()["elsewhere"] == 11
        assert (await http.delete(f"/api/numbers/{bought.json()['id']}")).status_code == 204
        assert (await http.get(f"/api/numbers/{bought.json()['id']}")).status_code == 404


async def test_every_answer_has_safe_headers(edge: Edge) -> None:
    client = await edge.client()
    for path in ("/api/flows", "/api/nothing", "/docs", "/openapi.json", "/healthz", "/auth/login"):
        answer = await client.get(path)
        told = answer.headers
        assert told["x-content-type-options"] == "nosniff" and told["x-frame-options"] == "DENY", path
        assert told["strict-transport-security"] == "max-age=31536000"
        assert told["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'"), path
        assert "script-src" not in told["content-security-policy"] and told["referrer-policy"] == "no-referrer"
        assert ("no-store" in told.get("cache-control", "")) == path.startswith(("/api", "/auth", "/docs"))
        assert told["x-request-id"] and "server" not in told


async def test_a_request_id_goes_from_end_to_end(edge: Edge) -> None:
    from structlog.testing import capture_logs

    client = await edge.client()
    with capture_logs() as lines:
        answer = await client.get("/api/flows/flow_x", headers={"X-Request-Id": "trace-me.7"})
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"] == "trace-me.7"
    assert {line["event"] for line in lines if line.get("request_id") == "trace-me.7"} == {"http", "rpc"}
    strange = await client.get("/api/flows", headers={"X-Request-Id": "a b"})
    assert strange.headers["x-request-id"].startswith("req_")


@in_turn(
    ("headers", "code", "words"),
    [
        ({}, "session_required", ("No credential was sent", "Authorization: Bearer hum_live_", "/auth/login")),
        ({"Authorization": "Bearer hum_live_cut"}, "api_key_required", ("not a whole API key", "43 letters")),
        ({"Authorization": "Bearer sk-other"}, "api_key_required", ("not a whole API key",)),
        ({"Authorization": "hum_live_" + "x" * 43}, "api_key_required", ("the word Bearer",)),
        ({"Authorization": "Basic dTpw"}, "api_key_required", ("the word Bearer",)),
        ({"Authorization": "Bearer hum_live_" + "x" * 43}, "api_key_required", ("unknown, revoked or expired",)),
        ({"Cookie": "__Host-hum_session=x"}, "session_required", ("no session of this service", "sign in again")),
        ({"Cookie": "__Host-hum_session=" + "x" * 43}, "session_required", ("over or unknown", "sign in again")),
    ],
)
async def test_each_missing_credential_says_what_to_do(
    edge: Edge, headers: dict[str, str], code: str, words: tuple[str, ...]
) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        answer = await http.get("/api/me", headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert all(each in error["message"] for each in words), error["message"]


async def test_a_body_that_is_no_json_says_where(edge: Edge) -> None:
    async with await edge.client() as http:
        text = '{\n  "name": "Ünïcode",\n  "é": 1, voice: 2}'
        answer = await http.post("/api/flows", content=text.encode(), headers={"Content-Type": "application/json"})
        assert answer.json()["error"]["message"].endswith("at line 3, column 11."), answer.text
        inside = await http.post("/api/flows", json={"name": "F", "tools_json": '[\n{"name": }]'})
        assert inside.json()["error"]["details"] == [
            {"field": "tools_json", "reason": "is not JSON: line 2, column 10: expecting value"}
        ]


async def test_members_that_no_operation_knows_are_refused_everywhere(edge: Edge) -> None:
    async with await edge.client() as http:
        id = (await http.post("/api/flows", json={"name": "F"})).json()["id"]
        for verb, path in (("POST", f"/api/flows/{id}/duplicate"), ("DELETE", f"/api/flows/{id}")):
            refused = await http.request(verb, path, json={"name": "G", "x": {}})
            assert refused.status_code == 400, refused.text
            reason = "is not a field"
            assert refused.json()["error"]["details"] == [{"field": name, "reason": reason} for name in ("name", "x")]
            garbage = await http.request(verb, path, content=b"{", headers={"Content-Type": "application/json"})
            assert garbage.json()["error"]["code"] == "invalid_json"
            form = await http.request(verb, path, content=b"a=b", headers={"Content-Type": "text/plain"})
            assert form.status_code == 415
        assert (await http.post(f"/api/flows/{id}/duplicate", json={})).status_code == 201
        assert (await http.post(f"/api/flows/{id}/duplicate")).status_code == 201
        tag = await http.post("/api/calls/call_01HVN0000000000000000000ZZ/tags", json={"tag": "a", "call_id": "other"})
        assert [each["field"] for each in tag.json()["error"]["details"]] == ["call_id"]


async def test_hours_without_a_week_are_refused(edge: Edge) -> None:
    async with await edge.client() as http:
        for hours in ({}, {"time_zone": "UTC"}):
            for verb, path in (("POST", "/api/flows"), ("PATCH", "/api/organization")):
                answer = await http.request(verb, path, json={"name": "F", "business_hours_json": hours})
                (detail,) = answer.json()["error"]["details"]
                assert detail["field"].startswith("business_hours_json"), detail
                assert "weekly" in detail["field"] + detail["reason"]


async def test_filters_have_names_that_no_field_has_and_older_ones(edge: Edge) -> None:
    when = "2026-03-05T15:04:05Z"
    async with await edge.client() as http:
        for query in ({"created_from": when, "created_to": when, "outcome_label": "x"}, {"from": when, "to": when}):
            assert (await http.get("/api/calls", params=query)).json()["calls"] == []
        twice = await http.get("/api/calls", params={"from": when, "created_from": when})
        assert twice.json()["error"]["details"] == [
            {"field": "from", "reason": "is an older name of created_from; send one of them"}
        ]
        march = (await http.get("/api/analytics", params={"from": "2026-03-01", "to": "2026-03-31"})).json()
        assert (len(march["days"]), march["days"][0]["date"]) == (31, "2026-03-01")
        backwards = await http.get("/api/analytics", params={"from": "2026-03-02", "to": "2026-03-01"})
        assert backwards.json()["error"]["details"] == [
            {"field": "from", "reason": "is after the last day, 2026-03-01"}
        ]


async def test_a_flow_names_only_flows_that_are_there(edge: Edge) -> None:
    async with await edge.client() as http, await edge.client("Other") as other:
        theirs = (await other.post("/api/flows", json={"name": "Theirs"})).json()["id"]
        mine = (await http.post("/api/flows", json={"name": "Mine"})).json()["id"]
        gone = (await http.post("/api/flows", json={"name": "Gone"})).json()["id"]
        good = {"transfer_map_json": {"billing": "+13175551234", "front desk": gone}, "route_tags_json": {"vip": mine}}
        made = await http.post("/api/flows", json={"name": "F", **good})
        assert made.status_code == 201, made.text
        path = f"/api/flows/{made.json()['id']}"
        for verb, at in (("POST", "/api/flows"), ("PATCH", path)):
            bad = {"transfer_map_json": {"a b": theirs}, "route_tags_json": {"vip": mine, "new": theirs}}
            refused = await http.request(verb, at, json={"name": "G", **bad})
            reason = "is not a flow of this organization"
            assert refused.json()["error"]["details"] == [
                {"field": 'transfer_map_json["a b"]', "reason": reason},
                {"field": "route_tags_json.new", "reason": reason},
            ]
        kept = await http.delete(f"/api/flows/{gone}")
        assert (kept.status_code, kept.json()["error"]["code"]) == (409, "in_use"), "F names it"
        assert (await http.patch(path, json={"name": "H", "transfer_map_json": {}})).status_code == 200
        assert (await http.delete(f"/api/flows/{gone}")).status_code == 204
