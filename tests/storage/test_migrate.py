"""Migrations: applied once, in order, by one of several processes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hum import ids
from hum.ids import Kind
from storage import call_records, schema, tool_runs
from storage import migrate as module
from storage.migrate import CannotMigrate, Migration, migrate, migrations
from tests.support.anyhour import AS_MIGRATED


async def test_of_many_one_works(empty_database: str) -> None:
    done = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    assert sorted(len(each) for each in done) == [0, 0, 0, len(migrations())]
    assert await migrate(empty_database) == []


async def test_a_changed_migration_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [first._replace(sql=first.sql + "\n-- later"), *rest])
    with pytest.raises(CannotMigrate, match="changed after it was applied"):
        await migrate(database_url)


async def test_a_newer_database_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "migrations", lambda: migrations()[:1])
    with pytest.raises(CannotMigrate, match="newer than this program"):
        await migrate(database_url)


async def test_a_failing_migration_leaves_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Migration(900, "bad", "CREATE TABLE half (id int); SELECT 1/0")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), bad])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database_url)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    await connection.close()


async def test_a_data_step_sees_the_rows_of_all_tenants(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO organizations (org_id, name) SELECT gen_random_uuid(), 'O' || n FROM generate_series(1, 3) n"
    )
    step = "UPDATE organizations SET name = name || '!'"
    blind = Migration(900, "blind", step)
    seeing = Migration(901, "seeing", f"SET LOCAL ROLE hum_system; {step}")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), blind, seeing])
    assert await migrate(database_url) == ["0900_blind", "0901_seeing"]
    names = {row["name"] for row in await connection.fetch("SELECT name FROM organizations")}
    assert names == {"O1!", "O2!", "O3!"}, "the owner's step changed nothing, the system's changed all"
    await connection.close()


async def test_a_new_organization_keeps_the_hours_of_those_it_texts_and_calls(empty_database: str) -> None:
    await migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    await connection.execute("INSERT INTO organizations (org_id, name) VALUES (gen_random_uuid(), 'Clinic')")
    (kept,) = await connection.fetch("SELECT recipient_hours_enabled, voice_quiet_hours_enabled FROM organizations")
    assert tuple(kept) == (True, True)
    await connection.close()


async def test_what_only_campaigns_have_opened_leaves_the_inbox(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [each for each in every if each.version < 33])
    await migrate(empty_database)
    connection = await asyncpg.connect(empty_database)
    org = ids.new()
    await connection.execute("INSERT INTO organizations (org_id, name) VALUES ($1, 'Clinic')", org)
    # What was written in each, the oldest first, and its status.
    stories: dict[str, tuple[list[str | None], str]] = {
        "campaign": (["campaign"], "open"),
        "answered": (["campaign", None], "open"),
        "written": (["campaign", "human"], "open"),
        "older": ([None, "campaign"], "open"),
        "closed": (["campaign"], "closed"),
        "empty": ([], "open"),
    }
    for name, (senders, status) in stories.items():
        thread = ids.new()
        await connection.execute(
            "INSERT INTO conversations (id, org_id, number_e164, contact_e164, status) VALUES ($1, $2, '+1', $3, $4)",
            thread, org, name, status,
        )  # fmt: skip
        for sender in senders:
            await connection.execute(
                "INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments,"
                " sent_by) VALUES ($1, $2, $3, $4, '+1', $5, 'Hi', $6, 1, $7)",
                ids.new(), org, thread, "outbound" if sender else "inbound", name, "sent" if sender else "received", sender,
            )  # fmt: skip
    monkeypatch.setattr(module, "migrations", lambda: every)
    await migrate(empty_database)
    rows = await connection.fetch("SELECT contact_e164 FROM conversations WHERE campaign_only")
    assert [row["contact_e164"] for row in rows] == ["campaign"]
    await connection.close()


async def test_a_login_without_the_roles_is_told_what_to_do(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'")
    host = database_url.rpartition("@")[2]
    with pytest.raises(CannotMigrate, match="print-roles"):
        await migrate(f"postgresql://stranger:x@{host}")
    await owner.execute("DROP ROLE stranger")
    await owner.close()


async def test_no_function_of_the_database_notifies(database_url: str) -> None:
    """A trigger's NOTIFY would be sent inside its transaction, and by PostgreSQL where another bus is configured: only
    `storage.db.notify` publishes.
    """
    query = "SELECT proname::text FROM pg_proc WHERE prosrc ~* 'notify' AND pronamespace IN ('hum'::regnamespace, 'public'::regnamespace)"
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE FUNCTION hum.notifies() RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('x', '') $$"
    )
    assert [row[0] for row in await connection.fetch(query)] == ["notifies"], "the query finds one"
    await connection.execute("DROP FUNCTION hum.notifies")
    assert await connection.fetch(query) == []
    await connection.close()


async def migrated(url: str, monkeypatch: pytest.MonkeyPatch, rows: str, version: int) -> Any:
    """Migrate a database up to a version, add rows as they were before it, and migrate to the newest; return a connection."""
    every = migrations()
    monkeypatch.setattr(module, "migrations", lambda: [each for each in every if each.version < version])
    await migrate(url)
    connection = await asyncpg.connect(url)
    await connection.execute(rows)
    monkeypatch.setattr(module, "migrations", lambda: every)
    await migrate(url)
    return connection


#: A call and a turn in texts with their facts in arrays; two of the tools have a row besides.
ARRAYS = """
    INSERT INTO organizations (org_id, name) VALUES (md5('org')::uuid, 'O');
    INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, latency, interruptions, tool_activity)
    VALUES (md5('call')::uuid, md5('org')::uuid, 'inbound', 'completed', '+1', '+2',
            '[{"turn_seq": 2, "first_sound_ms": 700, "first_answer_ms": 800, "ours_ms": 5, "model_ms": 600}, {"turn_seq": 4}]',
            '[{"at_ms": 500, "heard_ms": 300, "reaction_ms": 60, "verdict": "cut", "turn_seq": 2, "onset": null}]',
            '[{"id": "b", "name": "end_call", "arguments": "no JSON", "result": {}, "status": "ok",
               "started_at": "2026-11-30T12:00:00.250Z", "duration_ms": 9},
              {"id": "a", "name": "look_up", "arguments": {"n":1.0}, "result": {"n": 2}, "status": "ok",
               "started_at": "2026-11-30T12:00:01Z", "duration_ms": 40},
              {"id": "c", "name": "wait", "arguments": {"a": "\\u0000"}, "result": null, "status": "lost",
               "started_at": "2026-11-30T12:00:02Z", "duration_ms": null}]');
    INSERT INTO call_turns (org_id, call_id, seq, role, text, start_ms, end_ms)
    VALUES (md5('org')::uuid, md5('call')::uuid, 2, 'agent', 'Hi', 100, 900);
    INSERT INTO tool_runs (id, org_id, channel, purpose, call_id, tool_call_id, name, arguments, output, status)
    VALUES (md5('run')::uuid, md5('org')::uuid, 'call', 'agent', md5('call')::uuid, 'a', 'look_up', '{"n":1.0}', '{"n": 2}', 'ok');
    INSERT INTO conversations (id, org_id, number_e164, contact_e164) VALUES (md5('thread')::uuid, md5('org')::uuid, '+2', '+1');
    INSERT INTO text_runs (id, org_id, conversation_id, status, finished_at, asked, tool_calls)
    VALUES (md5('turn')::uuid, md5('org')::uuid, md5('thread')::uuid, 'replied', now(), true,
            '[{"id": "d", "name": "one", "arguments_json": "{}", "result_json": "{\\"cut", "status": "ok",
               "started_at": "2999-11-30T12:00:00+00:00", "duration_ms": 7},
              {"id": "e", "name": "two", "arguments_json": "{}", "result_json": "{}", "status": "failed",
               "started_at": "2999-11-30T12:00:01+00:00", "duration_ms": 8}]');
    INSERT INTO tool_runs (id, org_id, channel, purpose, conversation_id, run_id, tool_call_id, name, arguments, output,
                           status, started_at)
    VALUES ('ffffffff-ffff-ffff-ffff-ffffffffffff', md5('org')::uuid, 'text', 'agent', md5('thread')::uuid, md5('turn')::uuid, 'e', 'two', '{}', '{}', 'failed', '2999-11-30T12:00:01Z');
"""


async def test_facts_of_calls_become_rows(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await migrated(empty_database, monkeypatch, ARRAYS, version=22)
    call = await call_records.detail(connection, await connection.fetchval("SELECT id FROM calls"))
    assert call.latency == [[2, 700, 800, 5, 600], [4, 0, 0, 0, 0]]
    (interruption,) = map(json.loads, call.interruptions)
    assert (interruption["verdict"], interruption["turn_start_ms"], interruption["onset"]) == ("cut", 100, None)
    tools = [json.loads(each) for each in call.tool_activity]
    assert [
        (each["id"], each["name"], each["arguments"], each["result"], each["status"], each["duration_ms"])
        for each in tools
    ] == [
        ("b", "end_call", "no JSON", {}, "ok", 9),
        ("a", "look_up", {"n": 1.0}, {"n": 2}, "ok", 40),
        ("c", "wait", {"a": "\ufffd"}, None, "lost", None),
    ]
    assert tools[0]["started_at"].startswith("2026-11-30T12:00:00.25")
    rows = await connection.fetch(
        "SELECT status, report_arguments, report_result FROM tool_runs WHERE call_id IS NOT NULL ORDER BY tool_call_id"
    )
    assert tuple(rows[0]) == ("ok", None, None) and rows[1]["status"] is None
    turn = await connection.fetchval("SELECT id FROM text_runs WHERE asked_at = created_at")
    activity = (await tool_runs.of_turns(connection, [turn]))[turn]
    assert [(each.name, each.output, each.status) for each in activity] == [
        ("one", '"{\\"cut"', "ok"),
        ("two", "{}", "failed"),
    ]
    await connection.close()


#: A call with its other lists as arrays, and one with none.
LISTS = """
    INSERT INTO organizations (org_id, name) VALUES (md5('org')::uuid, 'O');
    INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164)
    VALUES (md5('call')::uuid, md5('org')::uuid, 'inbound', 'completed', '+1', '+2'),
           (md5('other')::uuid, md5('org')::uuid, 'inbound', 'completed', '+1', '+2');
    UPDATE calls
       SET keypad_entries = '[{"keys": "12", "at_ms": 900}, {"keys": "3"}]', more_refused_onsets = 4,
           refused_onsets = '[{"at_ms": 7, "until_ms": 47, "onset": "voice", "reason": "echo"}, {"until_ms": 40}]',
           flow_switches = '[{"flow_id": "FLOW", "flow_version": 3, "at_ms": 4000}]',
           interventions = '[{"id": "TOLD", "kind": "say", "text": "One\\u0000moment.", "by": "Ann",
                              "at": "2026-11-30T12:00:00.25Z", "at_ms": 5000},
                             {"id": "odd", "kind": "instruct", "text": "Hurry.", "at": null}]',
           recording_pauses = '[{"start_ms": 100, "end_ms": 500, "cause": "keys"}, {"start_ms": 900, "cause": "tool"}]'
     WHERE id = md5('call')::uuid;
"""


async def test_lists_of_calls_become_rows(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    id = ids.new()
    names = {"FLOW": ids.show(Kind.FLOW, id), "TOLD": ids.show(Kind.INTERVENTION, id)}
    rows = LISTS.replace("FLOW", names["FLOW"]).replace("TOLD", names["TOLD"])
    connection = await migrated(empty_database, monkeypatch, rows, version=24)
    call = await call_records.detail(connection, await connection.fetchval("SELECT md5('call')::uuid"))
    other = await call_records.detail(connection, await connection.fetchval("SELECT md5('other')::uuid"))
    assert [json.loads(entry) for entry in call.keypad_entries] == [
        {"keys": "3", "at_ms": 0},
        {"keys": "12", "at_ms": 900},
    ]
    assert [json.loads(onset)["at_ms"] for onset in call.refused_onsets] == [7, 0]
    assert (call.more_refused_onsets, other.more_refused_onsets) == (4, 0)
    (switch,) = map(json.loads, call.flow_switches)
    assert switch == {"flow_id": str(id), "flow_version": 3, "at_ms": 4000}
    told, hurried = map(json.loads, call.interventions)
    assert (told["id"], told["kind"], told["text"], told["by"]) == (str(id), "say", "One\ufffdmoment.", "Ann")
    assert (told["at"][:22], told["at_ms"]) == ("2026-11-30T12:00:00.25", 5000)
    assert (hurried["text"], hurried["by"], hurried["at"], hurried["at_ms"]) == ("Hurry.", "", None, None)
    assert [json.loads(pause) for pause in call.recording_pauses] == [
        {"start_ms": 100, "end_ms": 500, "cause": "keys"},
        {"start_ms": 900, "end_ms": None, "cause": "tool"},
    ]
    assert other.keypad_entries == other.refused_onsets == other.flow_switches == other.interventions == []
    assert other.recording_pauses == []
    await connection.close()


#: What waits, and what does not, as it was stored before 0025: a call's next step, a turn in texts, syncs to a CRM.
OWED = """
    INSERT INTO organizations (org_id, name) VALUES (md5('org')::uuid, 'O');
    INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, owed, owed_due)
    VALUES (md5('call')::uuid, md5('org')::uuid, 'inbound', 'in_progress', '+1', '+2', '{"type": "voicemail"}', true);
    INSERT INTO conversations (id, org_id, number_e164, contact_e164, turn_owed_at)
    VALUES (md5('thread')::uuid, md5('org')::uuid, '+2', '+1', '2026-11-30T12:00:00Z');
    INSERT INTO crm_connectors (id, org_id, name, base_url, position, timeout_ms, secret)
    VALUES (md5('crm')::uuid, md5('org')::uuid, 'Ours', 'https://crm.example', 1, 2000, '');
    INSERT INTO crm_syncs (id, org_id, connector_id, kind, call_id, state, due_at)
    SELECT md5(state)::uuid, md5('org')::uuid, md5('crm')::uuid, 'conversation', md5('call')::uuid, state, now()
      FROM unnest(ARRAY['owed', 'done', 'failed']) AS state;
"""


async def test_what_is_owed_is_pending(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await migrated(empty_database, monkeypatch, OWED, version=25)
    row = await connection.fetchrow(
        "SELECT next_step ->> 'type', next_step_due, extract(hour FROM turn_pending_since AT TIME ZONE 'UTC')::integer"
        " FROM calls, conversations"
    )
    assert row is not None and tuple(row) == ("voicemail", True, 12)
    syncs = await connection.fetch("SELECT state FROM crm_syncs ORDER BY state")
    assert [row["state"] for row in syncs] == ["done", "failed", "pending"]
    await connection.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [each.version for each in migrations()] == list(range(1, len(migrations()) + 1))
    assert all(Path(each.name).name == each.name for each in migrations())


async def test_the_schema_file_is_the_sum_of_the_migrations(database_url: str) -> None:
    stored = (Path(module.__file__).parent / "schema.sql").read_text()
    connection = await asyncpg.connect(database_url)
    await connection.execute(AS_MIGRATED)
    await connection.close()
    assert await asyncio.to_thread(schema.dump, database_url) == stored, (
        "run: python -m storage.schema > storage/schema.sql"
    )


async def test_a_server_without_an_extension_is_refused_with_what_to_do(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXTENSIONS", ("btree_gist", "no_such_extension"))
    with pytest.raises(CannotMigrate, match="no extension no_such_extension"):
        await migrate(empty_database)


async def test_a_login_that_may_not_create_an_extension_is_refused_with_what_to_do(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXTENSIONS", ("pg_stat_statements",))
    bad = Migration(900, "bad", "CREATE EXTENSION pg_stat_statements")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), bad])
    with pytest.raises(CannotMigrate, match="may not create the extension pg_stat_statements"):
        await migrate(empty_database)
