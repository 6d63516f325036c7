"""Pages of large rows end by their bytes; the next one begins behind it, and no row is left out or told twice."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from hum import ids
from hum.ids import Kind
from hum.pages import PAGE_BYTES
from tests.contract.conftest import Edge

ROWS, KIB = 30, 1024
CALL, FLOW, EVENT, CONNECTOR, SERVER, THREAD, CAMPAIGN = (UUID(int=(7 << 120) + n) for n in range(7))
#: $1 the organization.
AROUND = (
    f"INSERT INTO flows (id, org_id, channel, version) VALUES ('{FLOW}', $1, 'voice', 1)",
    f"""INSERT INTO crm_connectors (id, org_id, name, base_url, position, timeout_ms, secret)
        VALUES ('{CONNECTOR}', $1, 'CRM', 'https://crm.example', 1, 1000, '')""",
    f"""INSERT INTO mcp_servers (id, org_id, name, slug, transport, url, auto_approve_tools, require_approval, enabled, timeout_ms)
        VALUES ('{SERVER}', $1, 'Shop', 'shop', 'streamable_http', 'https://mcp.example', '{{}}', true, false, 1000)""",
    f"INSERT INTO conversations (id, org_id, number_e164, contact_e164) VALUES ('{THREAD}', $1, '+13175550100', '+13175550199')",
    f"INSERT INTO campaigns (id, org_id, name, body_template) VALUES ('{CAMPAIGN}', $1, 'Everybody', 'Hello')",
)
#: A row's id, which sorts by n.
ID = "lpad(to_hex(n), 32, '0')::uuid"


@dataclass(frozen=True, slots=True)
class LargeList:
    """A list: its path, and the statement that makes `ROWS` rows, n from 1, of `large` KiB each."""

    path: str
    member: str
    insert: str
    large: int = 60


LISTS = (
    LargeList(
        f"/api/calls/{ids.show(Kind.CALL, CALL)}/notes",
        "notes",
        "INSERT INTO call_notes (id, org_id, call_id, body, author) SELECT {id}, $1, '{call}', {text}, 'Ada' FROM {rows}",
    ),
    LargeList(
        f"/api/calls/{ids.show(Kind.CALL, CALL)}/turns",
        "turns",
        """INSERT INTO call_turns (org_id, call_id, seq, role, text, start_ms, end_ms)
           SELECT $1, '{call}', n, 'caller', {text}, n, n FROM {rows}""",
    ),
    LargeList(
        "/api/voicemails",
        "voicemails",
        """WITH c AS (INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164)
                      SELECT gen_random_uuid(), $1, 'inbound', 'completed', '+13175550199', '+13175550100' FROM {rows}
                      RETURNING id)
           INSERT INTO voicemails (id, org_id, call_id, audio_path, duration_ms, transcript)
           SELECT gen_random_uuid(), $1, id, 'a.wav', 1, {text} FROM c""",
    ),
    LargeList(
        f"/api/crm-connectors/{ids.show(Kind.CRM_CONNECTOR, CONNECTOR)}/logs",
        "logs",
        """INSERT INTO crm_logs (id, org_id, connector_id, delivery_id, event, outcome, old_secret, request_body, response_body, duration_ms)
           SELECT {id}, $1, '{connector}', {id}, 'contact.lookup', 'ok', false, {half}, {half}, 1 FROM {rows}""",
    ),
    LargeList(
        f"/api/mcp-servers/{ids.show(Kind.MCP_SERVER, SERVER)}/tools",
        "tools",
        """INSERT INTO mcp_tools (id, org_id, server_id, name, model_name, state, now_description, now_schema, now_hash)
           SELECT {id}, $1, '{server}', 't' || n, 'shop__t' || n, 'new', {half}, to_json({half})::text, 'h' FROM {rows}""",
    ),
    LargeList(
        f"/api/sms/conversations/{ids.show(Kind.CONVERSATION, THREAD)}/messages",
        "messages",
        """INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments)
           SELECT {id}, $1, '{thread}', 'inbound', '+13175550100', '+13175550199', {text}, 'received', 1 FROM {rows}""",
    ),
    LargeList(
        f"/api/sms/conversations/{ids.show(Kind.CONVERSATION, THREAD)}/runs",
        "runs",
        """INSERT INTO text_runs (id, org_id, conversation_id, status, outcome, finished_at)
           SELECT {id}, $1, '{thread}', 'silent', to_json({text}), now() FROM {rows}""",
    ),
    LargeList(
        f"/api/flows/{ids.show(Kind.FLOW, FLOW)}/runs",
        "runs",
        """INSERT INTO event_runs (id, org_id, flow_id, event_id, event_type, depth, status, result, finished_at)
           SELECT {id}, $1, '{flow}', {id}, 'call.completed', 0, 'completed', {text}, now() FROM {rows}""",
    ),
    LargeList(
        f"/api/sms/campaigns/{ids.show(Kind.CAMPAIGN, CAMPAIGN)}/recipients",
        "recipients",
        """INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, variables)
           SELECT {id}, $1, '{campaign}', '+1317555' || 1000 + n, json_build_object('name', {text}) FROM {rows}""",
    ),
    LargeList(
        "/api/approvals",
        "approvals",
        """INSERT INTO approvals (id, org_id, call_id, flow_id, flow_version, tool, summary, arguments, schema, expires_at)
           SELECT {id}, $1, '{call}', '{flow}', 1, 'refund', 'Refund', json_build_object('why', {text}), '{{}}', now() FROM {rows}""",
    ),
    LargeList(
        "/api/events",
        "events",
        """INSERT INTO events (public_id, org_id, type, subject_id, data)
           SELECT {id}, $1, 'call.completed', '{call}', json_build_object('reason', {text}) FROM {rows}""",
    ),
)


async def _fill(edge: Edge, org: UUID, large: LargeList) -> None:
    chars = large.large * KIB // 2
    statement = large.insert.format(
        id=ID,
        text=f"repeat('é', {chars})",
        half=f"repeat('é', {chars // 2})",
        rows=f"generate_series(1, {ROWS}) AS n",
        call=CALL,
        flow=FLOW,
        connector=CONNECTOR,
        server=SERVER,
        thread=THREAD,
        campaign=CAMPAIGN,
    )
    async with edge.plane.control.db.system() as tx:
        await tx.execute(statement, org)


async def _pages(http: httpx.AsyncClient, large: LargeList) -> list[list[Any]]:
    pages, after = list[list[Any]](), dict[str, str]()
    while not pages or after:
        answer = await http.get(large.path, params={"limit": "50"} | after)
        assert answer.status_code == 200, (large.path, answer.text[:500])
        assert len(answer.content) < PAGE_BYTES + 2 * large.large * KIB, large.path
        told = answer.json()
        pages.append(told[large.member])
        if large.path == "/api/events":
            after = {"after": pages[-1][-1]["id"]} if told["has_more"] else {}
        else:
            after = {"cursor": cursor} if (cursor := told.get("next_cursor")) else {}
    return pages


async def test_pages_of_large_rows_end_by_their_bytes(edge: Edge) -> None:
    async with await edge.client() as http:
        org = ids.require(Kind.ORGANIZATION, (await http.get("/api/organization")).json()["id"])
        async with edge.plane.control.db.system() as tx:
            await tx.execute(
                """INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, created_at)
                   VALUES ($2, $1, 'inbound', 'completed', '+13175550199', '+13175550100', $3)""",
                org,
                CALL,
                datetime(2026, 1, 1, tzinfo=UTC),
            )
            for statement in AROUND:
                await tx.execute(statement, org)
        for large in LISTS:
            await _fill(edge, org, large)
            pages = await _pages(http, large)
            # The events of what the test itself has done are among them.
            assert len(pages) == 2 and (large.member == "events" or [len(page) for page in pages] == [18, 12]), (
                large.path
            )
            seen = [row.get("id") or row.get("contact_e164") or row["start_ms"] for page in pages for row in page]
            assert len(seen) == len(set(seen)) >= ROWS, large.path
