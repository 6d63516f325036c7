"""Flows as several people edit and list them."""

import asyncio
from typing import Any

from tests.contract.conftest import Edge


async def test_of_two_who_change_the_same_version_the_second_is_refused(edge: Edge) -> None:
    async with await edge.client() as http:
        path = f"/api/flows/{(await http.post('/api/flows', json={'name': 'F'})).json()['id']}"
        both = [http.patch(path, params={"if_version": 1}, json={"greeting": each}) for each in ("Ada's", "Bob's")]
        first, second = sorted(await asyncio.gather(*both), key=lambda answer: answer.status_code)
        assert (first.status_code, first.json()["version"]) == (200, 2)
        error = second.json()["error"]
        assert (second.status_code, error["code"], error["details"]) == (409, "conflict", [{"version": "2"}])
        assert "version 2 by now, not 1" in error["message"]
        assert (await http.get(path)).json() == first.json(), "who is refused changes nothing"
        again = await http.patch(path, params={"if_version": 1}, json={"greeting": first.json()["greeting"]})
        assert (again.status_code, again.json()) == (200, first.json()), "whose answer was lost may ask again"
        late = await http.patch(path, params={"if_version": 2}, json={"greeting": "Bob's after all"})
        assert late.json()["version"] == 3
        for bad in ("0", "-1", "x"):
            refused = await http.patch(path, params={"if_version": bad}, json={"greeting": "x"})
            assert [each["field"] for each in refused.json()["error"]["details"]] == ["if_version"]


async def test_a_list_has_the_fields_that_are_wanted(edge: Edge) -> None:
    async with await edge.client() as http:
        hours = {"time_zone": "America/New_York", "weekly": {"mon": [["09:00", "17:00"]]}}
        written = {"name": "F", "channel": "sms", "system_prompt": "x" * 30_000, "business_hours_json": hours}
        whole = (await http.post("/api/flows", json=written)).json()
        await http.post("/api/flows", json={"name": "G"})
        answer = await http.get("/api/flows", params={"fields": "name", "limit": 1})
        assert answer.json()["flows"][0]["name"] == "G"
        params: dict[str, Any] = {"fields": ["name", "business_hours_json"], "limit": 1}
        refused = await http.get("/api/flows", params={**params, "cursor": answer.json()["next_cursor"]})
        assert refused.json()["error"]["code"] == "invalid_cursor", "a page goes on with the same fields"
        first = (await http.get("/api/flows", params=params)).json()
        (row,) = (await http.get("/api/flows", params={**params, "cursor": first["next_cursor"]})).json()["flows"]
        kept = (
            "id",
            "version",
            "created_at",
            "updated_at",
            "name",
            "kind",
            "channel",
            "trigger_type",
            "business_hours_json",
        )
        assert {name: row[name] for name in kept} == {name: whole[name] for name in kept}
        assert not any(row[name] for name in row.keys() - set(kept))
        unknown = await http.get("/api/flows", params={"fields": ["name", "secret"]})
        assert unknown.json()["error"]["details"] == [{"field": "fields", "reason": "flows have no field secret"}]


async def test_versions_say_what_they_changed_without_their_documents(edge: Edge) -> None:
    async with await edge.client() as http:
        path = f"/api/flows/{(await http.post('/api/flows', json={'name': 'F', 'greeting': 'Hi'})).json()['id']}"
        second = (await http.patch(path, json={"system_prompt": "x" * 30_000, "greeting": None})).json()
        third = (await http.patch(path, json={"name": "G"})).json()
        listed = await http.get(f"{path}/versions", params={"fields": "name"})
        assert len(listed.content) < 10_000
        versions = listed.json()["versions"]
        assert [(each["version"], each["name"], each["system_prompt"]) for each in versions] == [
            (3, "G", None),
            (2, "F", None),
            (1, "F", None),
        ]
        assert listed.json()["changes"] == [
            {"version": 3, "fields": ["name"]},
            {"version": 2, "fields": ["greeting", "system_prompt"]},
            {"version": 1, "fields": []},
        ]
        for wanted in (second, third):
            asked = (await http.get(path, params={"version": wanted["version"]})).json()
            assert asked | {"updated_at": None} == wanted | {"updated_at": None}
        assert (await http.get(path, params={"version": 4})).status_code == 404
        whole = (await http.get(f"{path}/versions")).json()
        assert whole["versions"][1]["system_prompt"] == "x" * 30_000
        assert whole["changes"] == listed.json()["changes"]
        unknown = await http.get(f"{path}/versions", params={"fields": "secret"})
        assert unknown.json()["error"]["details"] == [{"field": "fields", "reason": "flows have no field secret"}]


async def test_a_page_of_large_flows_ends_by_its_bytes(edge: Edge) -> None:
    """So do their versions; the cursor goes on behind it, and no flow is left out or told twice."""
    async with await edge.client() as http:
        flow = (await http.post("/api/flows", json={"name": "0", "system_prompt": "é" * 15_000})).json()["id"]
        for n in range(1, 16):
            await http.post("/api/flows", json={"name": str(n), "system_prompt": "é" * 15_000})
            await http.patch(f"/api/flows/{flow}", json={"name": f"{n}th"})
        for path, member, whole in (("/api/flows", "flows", 16), (f"/api/flows/{flow}/versions", "versions", 16)):
            pages, cursor = list[list[str]](), None
            while cursor is not None or not pages:
                answer = await http.get(path, params={"limit": 50} | ({"cursor": cursor} if cursor else {}))
                assert len(answer.content) < (1 << 20) + 200_000
                pages.append([row["name"] for row in answer.json()[member]])
                cursor = answer.json().get("next_cursor")
            assert [len(page) for page in pages] == [12, 4]
            assert len({name for page in pages for name in page}) == whole
        few = (await http.get("/api/flows", params={"limit": 50, "fields": "name"})).json()
        assert len(few["flows"]) == 16 and not few.get("next_cursor")
