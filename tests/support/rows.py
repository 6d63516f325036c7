"""Many rows of calls, contacts, events and texts, made by SQL: what a table is like that has grown.

One row in ten is another tenant's.
"""

from uuid import UUID

import asyncpg

CALLS_A_CALLER, EVENTS_A_CALL, MESSAGES_EACH = 20, 20, 3
#: The vocabulary; the n-th word is about n times rarer than the first.
WORDS = 20_000
#: Conversations per generation: each conversation gets its messages at once.
GENERATION = 8192

#: $1 the measured tenant, $2 another, rows $3 + 1 to $4.
CONTACTS = """
    INSERT INTO contacts (id, org_id, phone_e164, said_by_user, tags)
    SELECT md5('contact' || n)::uuid, CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END,
           '+1' || (2000000000 + n * 7919::bigint % 7999999999)::text,
           jsonb_build_object('name', 'Name' || n || ' ' || CASE n % 100 WHEN 1 THEN 'Middling' ELSE 'Frequent' END,
                              'company', 'Company' || n % 1000),
           CASE WHEN n % 100 = 1 THEN '{vip}' ELSE '{}' END::text[]
      FROM generate_series($3::bigint + 1, $4) AS n
"""
CONTACT_SEARCH = """
    INSERT INTO contact_search (org_id, contact_id, words)
    SELECT org_id, id, array_to_tsvector(hum.phone_words(phone_e164) || hum.words_of(concat_ws(' ', name, company)))
      FROM contacts k WHERE NOT EXISTS (SELECT FROM contact_search s WHERE s.contact_id = k.id)
"""
CALLS = f"""
    INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, contact_id, created_at, outcome_label)
    SELECT md5('call' || n)::uuid, CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END, 'inbound',
           CASE n % 100 WHEN 1 THEN 'failed' ELSE 'completed' END,
           '+1' || (2000000000 + (n / {CALLS_A_CALLER}) * 7919::bigint % 7999999999)::text, '+13175550100',
           md5('contact' || n / {CALLS_A_CALLER})::uuid, '2026-01-01'::timestamptz + n * interval '10 seconds',
           CASE n % 3 WHEN 1 THEN 'resolved' END
      FROM generate_series($3::bigint + 1, $4) AS n
"""
CALL_SEARCH = f"""
    INSERT INTO call_search (org_id, call_id, created_at, words)
    SELECT c.org_id, c.id, c.created_at,
           array_to_tsvector(hum.phone_words(c.from_e164) || hum.phone_words(c.to_e164))
           || to_tsvector('simple', 'case' || substr(md5(c.id::text), 1, 12)
                          || CASE WHEN c.status = 'failed' THEN ' middling' ELSE '' END || ' '
                          || (SELECT string_agg('w' || floor(power({WORDS}, random()))::integer, ' ')
                                FROM generate_series(1, 30) WHERE c.id IS NOT NULL))
      FROM calls c WHERE NOT EXISTS (SELECT FROM call_search s WHERE s.call_id = c.id)
"""
CALL_TAGS = """
    INSERT INTO call_tags (org_id, call_id, tag, called_at) SELECT org_id, id, 'vip', created_at FROM calls WHERE status = 'failed'
    ON CONFLICT DO NOTHING
"""
CONTACT_TAGS = """
    INSERT INTO contact_tags (org_id, contact_id, tag) SELECT org_id, id, unnest(tags) FROM contacts WHERE tags <> '{}'
    ON CONFLICT DO NOTHING
"""
EVENTS = f"""
    INSERT INTO events (public_id, org_id, type, subject_id, data, created_at)
    SELECT gen_random_uuid(), CASE WHEN n % 10 = 0 THEN $1::uuid ELSE $4::uuid END, 'call.completed', md5('call' || n / {EVENTS_A_CALL})::uuid,
           '{{"reason": "caller"}}', '2026-01-01'::timestamptz + n * interval '1 second'
      FROM generate_series($2::bigint + 1, $3) AS n
"""
CALL_EVENTS = f"""
    INSERT INTO call_events (org_id, call_id, seq, type, data, created_at)
    SELECT $1, c.id, n % {EVENTS_A_CALL} + 1, 'transcript.turn',
           '{{"text": "What was said in this turn of the call."}}', '2026-01-01'::timestamptz + n * interval '1 second'
      FROM generate_series($2::bigint + 1, $3) AS n JOIN calls c ON c.id = md5('call' || n / {EVENTS_A_CALL})::uuid
"""
GIN = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
      FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_am a ON a.oid = i.relam
     WHERE amname = 'gin' AND indrelid IN ('call_search'::regclass, 'contact_search'::regclass)
"""

#: As above: people who text.
TEXTERS = """
    INSERT INTO contacts (id, org_id, phone_e164, said_by_user)
    SELECT md5('contact' || n)::uuid, CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END, '+1' || 2000000000 + n,
           jsonb_build_object('name', 'Name' || n, 'company', 'Company' || n % 1000)
      FROM generate_series($3::bigint + 1, $4) AS n
"""
CONVERSATIONS = f"""
    INSERT INTO conversations (id, org_id, number_e164, contact_e164, contact_id, status, unread_count, snoozed_until,
                               last_message_at, active_at, created_at, generation)
    SELECT md5('thread' || n)::uuid, CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END, '+13175550100',
           '+1' || 2000000000 + n, md5('contact' || n)::uuid, CASE n % 100 WHEN 1 THEN 'closed' ELSE 'open' END,
           CASE n % 50 WHEN 2 THEN 1 ELSE 0 END, CASE n % 100 WHEN 3 THEN now() + interval '1 day' END, at, at, at,
           CASE WHEN n >= {GENERATION} THEN n / {GENERATION} * 2 + CASE WHEN n % 10 = 0 THEN 1 ELSE 0 END ELSE 0 END
      FROM generate_series($3::bigint + 1, $4) AS n, LATERAL (SELECT '2026-01-01'::timestamptz + n * interval '10 seconds') t (at)
"""
MESSAGES = f"""
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, carrier_sid,
                          created_at)
    SELECT md5('message' || n || ' ' || i)::uuid, c.org_id, c.id, 'inbound', c.number_e164, c.contact_e164,
           'w' || floor(power({WORDS}, random()))::integer || 'word w' || floor(power({WORDS}, random()))::integer
               || CASE WHEN n % 100 = 1 THEN 'word middling' ELSE 'word' END || CASE WHEN n % 1000 = 1 THEN ' uncommon' ELSE '' END,
           'received', 1, 'SM' || md5('message' || n || ' ' || i), c.active_at
      FROM generate_series($1::bigint + 1, $2) AS n JOIN conversations c ON c.id = md5('thread' || n)::uuid,
           generate_series(1, {MESSAGES_EACH}) AS i
"""
CAMPAIGN = "INSERT INTO campaigns (id, org_id, name, body_template) VALUES ($1, $2, 'Everybody', 'Hello') ON CONFLICT DO NOTHING"
#: $1 the measured tenant, $2 its campaign, rows $3 + 1 to $4.
RECIPIENTS = """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, status)
    SELECT gen_random_uuid(), $1, $2, '+1' || 2000000000 + n, CASE n % 100 WHEN 1 THEN 'failed' ELSE 'delivered' END
      FROM generate_series($3::bigint + 1, $4) AS n
"""
GENERATIONS = f"""
    INSERT INTO text_generations (org_id, number, opened_at)
    SELECT org, n * 2 + other, '2026-01-01'::timestamptz + n * {GENERATION} * interval '10 seconds'
      FROM (VALUES ($1::uuid, 0), ($2, 1)) AS each (org, other), generate_series($3::bigint / {GENERATION} + 1, $4 / {GENERATION}) AS n
    ON CONFLICT DO NOTHING
"""
WORDS_OF = """
    INSERT INTO text_search (org_id, conversation_id, generation, words, recent)
    SELECT c.org_id, c.id, c.generation, array_to_tsvector(own.words), hum.recent_words(c.generation, own.words)
      FROM conversations c JOIN contacts k ON k.id = c.contact_id,
           LATERAL (SELECT hum.phone_words(c.contact_e164) || hum.words_of(concat_ws(' ', k.name, k.company)) AS words OFFSET 0) own
     WHERE NOT EXISTS (SELECT FROM text_search s WHERE s.conversation_id = c.id);
    INSERT INTO text_search (org_id, conversation_id, message_id, words, recent)
    SELECT m.org_id, m.conversation_id, m.id, array_to_tsvector(said.words), hum.recent_words(c.generation, said.words)
      FROM messages m JOIN conversations c ON c.id = m.conversation_id,
           LATERAL (SELECT hum.words_of(m.body) AS words OFFSET 0) said
     WHERE NOT EXISTS (SELECT FROM text_search s WHERE s.message_id = m.id)
"""
TEXT_INDEXES = ("text_search_words", "text_search_recent")
GROWN_WITH_CALLS = (
    "contacts",
    "contact_search",
    "contact_tags",
    "calls",
    "call_search",
    "call_tags",
    "events",
    "call_events",
)
GROWN_WITH_CONVERSATIONS = ("contacts", "conversations", "messages", "text_search", "campaign_recipients")


async def add_calls(url: str, tenant: UUID, other_tenant: UUID, before: int, size: int) -> None:
    """Fill a database that has `before` calls, contacts and events up to `size` of each."""
    connection = await asyncpg.connect(url)
    # Without triggers: their work is done in bulk.
    await connection.execute("SET session_replication_role = replica")
    for insert in (CONTACTS, CALLS):
        await connection.execute(insert, tenant, other_tenant, before, size)
    await connection.execute(CALL_TAGS)
    await connection.execute(CONTACT_TAGS)
    await connection.execute(EVENTS, tenant, before, size, other_tenant)
    await connection.execute(CALL_EVENTS, tenant, before, size)
    indexes = await connection.fetch(GIN)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    await connection.execute(CONTACT_SEARCH)
    await connection.execute(CALL_SEARCH)
    for index in indexes:
        await connection.execute(index["definition"])
    for table in GROWN_WITH_CALLS:
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()


async def add_conversations(url: str, tenant: UUID, other_tenant: UUID, campaign: UUID, before: int, size: int) -> None:
    """Fill a database that has `before` conversations, and recipients of the campaign, up to `size` of each."""
    connection = await asyncpg.connect(url)
    # Without triggers: their work is done in bulk.
    await connection.execute("SET session_replication_role = replica")
    for insert in (TEXTERS, GENERATIONS, CONVERSATIONS):
        await connection.execute(insert, tenant, other_tenant, before, size)
    await connection.execute(MESSAGES, before, size)
    await connection.execute(CAMPAIGN, campaign, tenant)
    await connection.execute(RECIPIENTS, tenant, campaign, before, size)
    indexes = [await connection.fetchval("SELECT pg_get_indexdef($1::text::regclass)", index) for index in TEXT_INDEXES]
    await connection.execute(f"DROP INDEX {', '.join(TEXT_INDEXES)}")
    await connection.execute(WORDS_OF)
    for index in indexes:
        await connection.execute(index)
    for table in GROWN_WITH_CONVERSATIONS:
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()
