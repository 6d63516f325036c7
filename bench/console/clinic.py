"""python -m bench.console.clinic: fills an organization of a running platform with calls and threads, by SQL.

The newest call is a long one, of an hour by default: it is recorded, has its peaks, and ten turns a minute.  The one before has as
many turns, and no recording.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np

from hum import ids, peaks
from hum.process import home
from hum.settings import UpSettings, load
from hum.wave import RATE, header
from storage import analytics

MINUTES_APART = 3  # between calls, by default
MESSAGES_EACH = 5
GENERATION = 8192  # active threads in each
#: Number of the newest calls that have turns, an event for each, and a tag.
SPOKEN = 2_000
MINUTES, TURNS_A_MINUTE = 60, 10
TONE_HZ = 220.0

FIRST = (
    "{Ann,Ben,Clara,David,Elena,Frank,Grace,Henry,Isabel,Jack,Karen,Luis,Maria,Noah,Olivia,Paul,Quinn,Rosa,Sam,Tara}"
)
LAST = (
    "{Baker,Cole,Diaz,Evans,Foster,Garcia,Hughes,Ito,Jones,Kim,Lopez,Meyer,Nolan,Owens,Perez,Reed,Silva,Turner,Vance}"
)
SUMMARIES = json.dumps(
    [
        ["Booked a cleaning for Tuesday at nine.", "booked"],
        ["Asked whether the clinic opens on Saturdays.", "answered"],
        ["Moved the appointment from Monday to Thursday afternoon.", "moved"],
        ["Wanted the price of whitening; will call again.", "answered"],
        ["A filling fell out; was given the first free hour today.", "booked"],
        ["Asked for a copy of the last invoice by e-mail.", "passed on"],
        ["Canceled the check-up on Friday.", "canceled"],
    ]
)
#: Lines of the caller and the agent in turn, for texts and calls.
LINES = json.dumps(
    [
        "Hello, I would like to come in for a cleaning.",
        "Of course. Would Tuesday at nine suit you?",
        "Could it be in the afternoon?",
        "There is a place at a quarter past three.",
        "That is perfect, thank you.",
        "Done: Tuesday at a quarter past three. Is there anything else?",
        "Do you still have my insurance card on file?",
        "Yes, the one from January. See you on Tuesday.",
    ]
)

#: $1 organization, $2 how many.
CONTACTS = f"""
    INSERT INTO contacts (id, org_id, phone_e164, said_by_user)
    SELECT md5($1::text || 'contact' || n)::uuid, $1::uuid, '+1317' || lpad((5550000 + n)::text, 7, '0'),
           jsonb_build_object('name', ('{FIRST}'::text[])[1 + n * 7 % 20] || ' ' || ('{LAST}'::text[])[1 + n * 11 % 19])
      FROM generate_series(1, $2::integer) AS n
    ON CONFLICT DO NOTHING
"""
#: $1 organization, $2 calls, $3 contacts, $4 number, $5 its id, $6 flow, $7 summaries, $8 minutes of the newest, $9 between calls.
CALLS = """
    INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, number_id, flow_id, flow_version, contact_id, created_at,
                       answered_at, ended_at, end_reason, streams_opened, summary, outcome_label)
    SELECT md5($1::text || 'call' || n)::uuid, $1::uuid, CASE WHEN is_out THEN 'outbound' ELSE 'inbound' END, status,
           CASE WHEN is_out THEN $4 ELSE phone END, CASE WHEN is_out THEN phone ELSE $4 END, $5::uuid, $6::uuid, 1,
           md5($1::text || 'contact' || who)::uuid, at, CASE WHEN status = 'completed' THEN at + interval '2 seconds' END,
           at + CASE WHEN status = 'completed' THEN length ELSE interval '20 seconds' END,
           CASE status WHEN 'completed' THEN 'caller' WHEN 'failed' THEN 'model_lost' ELSE 'caller' END,
           CASE WHEN status = 'completed' THEN 1 ELSE 0 END,
           CASE WHEN status = 'completed' THEN json_build_object('text', $7::jsonb -> (n % 7) ->> 0,
                'key_points', json_build_array($7::jsonb -> (n % 7) ->> 0), 'next_actions', json_build_array()) END,
           CASE WHEN status = 'completed' THEN $7::jsonb -> (n % 7) ->> 1 END
      FROM generate_series(1, $2::integer) AS n,
           LATERAL (SELECT now() - ($2 - n) * $9::integer * interval '1 minute' - ($8 + 10) * interval '1 minute' AS at,
                           n % 7 = 0 AS is_out, 1 + n * 31 % $3::integer AS who,
                           '+1317' || lpad((5550000 + 1 + n * 31 % $3)::text, 7, '0') AS phone,
                           CASE WHEN n = $2 THEN $8::integer * interval '1 minute' ELSE (40 + n * 53 % 300) * interval '1 second' END AS length,
                           CASE WHEN n % 100 = 1 THEN 'failed' WHEN n % 23 = 5 THEN 'no_answer' ELSE 'completed' END AS status) facts
"""
#: $1 organization, $2 calls.
TURN_LATENCIES = """
    INSERT INTO call_turn_latencies (org_id, call_id, stream_number, report_seq, turn_seq, first_sound_ms, first_answer_ms, ours_ms, model_ms)
    SELECT c.org_id, c.id, 1, 1, 2, 500 + n * 37 % 600, 500 + n * 37 % 600, 8 + n % 9, 420 + n * 37 % 500
      FROM generate_series(1, $2::integer) AS n JOIN calls c ON c.id = md5($1::text || 'call' || n)::uuid
     WHERE c.status = 'completed'
"""
#: $1 organization, $2 calls, $3 lines, $4 minutes of the newest.
TURNS = f"""
    INSERT INTO call_turns (org_id, call_id, seq, role, text, heard_text, start_ms, end_ms, item_id)
    SELECT $1::uuid, c.id, i, CASE i % 2 WHEN 1 THEN 'caller' ELSE 'agent' END, said, CASE i % 2 WHEN 0 THEN said END,
           (i - 1) * apart_ms + 2000, (i - 1) * apart_ms + 2000 + least(4000, apart_ms - 400), 'item_' || i
      FROM generate_series(greatest(1, $2::integer - {SPOKEN}), $2) AS n JOIN calls c ON c.id = md5($1::text || 'call' || n)::uuid,
           LATERAL (SELECT CASE WHEN n >= $2 - 1 THEN $4::integer * {TURNS_A_MINUTE} ELSE 6 END AS turns, CASE WHEN n >= $2 - 1 THEN 5900 ELSE 4600 END AS apart_ms) o,
           LATERAL generate_series(1, turns) AS i, LATERAL (SELECT $3::jsonb ->> ((i - 1 + 2 * n) % 8) AS said) s
     WHERE c.status = 'completed'
"""
TAGS = f"""
    INSERT INTO call_tags (org_id, call_id, tag, called_at)
    SELECT $1::uuid, c.id, CASE n % 3 WHEN 0 THEN 'regular' WHEN 1 THEN 'new patient' ELSE 'follow-up' END, c.created_at
      FROM generate_series(greatest(1, $2::integer - {SPOKEN}), $2) AS n JOIN calls c ON c.id = md5($1::text || 'call' || n)::uuid
     WHERE n % 4 = 0
"""
CALL_SEARCH = """
    INSERT INTO call_search (org_id, call_id, created_at, words)
    SELECT c.org_id, c.id, c.created_at, array_to_tsvector(hum.phone_words(c.from_e164) || hum.phone_words(c.to_e164))
           || to_tsvector('simple', coalesce(c.summary ->> 'text', ''))
      FROM calls c WHERE c.org_id = $1::uuid AND NOT EXISTS (SELECT FROM call_search s WHERE s.call_id = c.id)
"""
GENERATIONS = f"""
    INSERT INTO text_generations (org_id, number, opened_at)
    SELECT $1::uuid, n, now() - interval '1 year' FROM generate_series(1, $2::integer / {GENERATION}) AS n ON CONFLICT DO NOTHING
"""
#: $1 organization, $2 threads, $3 number, $4 its id, $5 lines.
THREADS = f"""
    INSERT INTO conversations (id, org_id, number_e164, contact_e164, number_id, contact_id, status, unread_count, last_message_at,
                               active_at, created_at, generation, last_message_preview, last_message_direction)
    SELECT md5($1::text || 'thread' || n)::uuid, $1::uuid, $3, '+1317' || lpad((5550000 + n)::text, 7, '0'), $4::uuid,
           md5($1::text || 'contact' || n)::uuid, CASE WHEN n % 40 = 1 THEN 'closed' ELSE 'open' END,
           CASE WHEN n % 9 = 2 AND (n + {MESSAGES_EACH}) % 2 = 0 THEN 1 ELSE 0 END, at, at, at - interval '1 hour', n / {GENERATION}, $5::jsonb ->> ((n + {MESSAGES_EACH}) % 8),
           CASE (n + {MESSAGES_EACH}) % 2 WHEN 0 THEN 'inbound' ELSE 'outbound' END
      FROM generate_series(1, $2::integer) AS n, LATERAL (SELECT now() - ($2 - n) * interval '11 minutes' - interval '4 minutes' AS at) t
"""
#: $1 organization, $2 threads, $3 lines.  A thread is read in the order of its messages' ids, which begin with their time.
MESSAGES = f"""
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, carrier_sid, sent_by,
                          created_at, sent_at, delivered_at)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || right(md5($1::text || n || ' ' || i), 20))::uuid, c.org_id,
           c.id, CASE WHEN is_in THEN 'inbound' ELSE 'outbound' END,
           c.number_e164, c.contact_e164, $3::jsonb ->> ((n + i) % 8), CASE WHEN is_in THEN 'received' ELSE 'delivered' END, 1,
           'SM' || md5($1::text || 'message' || n || ' ' || i), CASE WHEN is_in THEN NULL ELSE 'ai' END, at,
           CASE WHEN is_in THEN NULL ELSE at END, CASE WHEN is_in THEN NULL ELSE at END
      FROM generate_series(1, $2::integer) AS n JOIN conversations c ON c.id = md5($1::text || 'thread' || n)::uuid,
           generate_series(1, {MESSAGES_EACH}) AS i,
           LATERAL (SELECT (n + i) % 2 = 0 AS is_in, c.active_at - ({MESSAGES_EACH} - i) * interval '4 minutes' AS at) facts
"""
#: $1 organization, $2 calls, $3 the recording's path, $4 its length in ms, $5 its bytes.
LONG_STREAM = """
    INSERT INTO call_streams (org_id, call_id, number, stream_sid, node, opened_at, recording_path, recording_ms, recording_bytes)
    SELECT org_id, id, 1, 'MZ' || md5(id::text), 'bench', answered_at, $3, $4::integer, $5::bigint
      FROM calls WHERE id = md5($1::text || 'call' || $2::integer)::uuid RETURNING call_id
"""
#: The counts, as the reader of events keeps them.
COUNTS = f"""
    INSERT INTO call_rollups SELECT {analytics.CALLS} FROM calls c WHERE c.org_id = $1 AND c.ended_at IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6
"""
LATENCIES = f"""
    INSERT INTO latency_rollups
    SELECT {analytics.MEASURED} FROM (SELECT * FROM calls WHERE org_id = $1) AS c {analytics.TURNS} GROUP BY 1, 2, 3, 4, 5
"""
TABLES = (
    "contacts",
    "calls",
    "call_turns",
    "call_turn_latencies",
    "call_tags",
    "call_search",
    "conversations",
    "messages",
)


@dataclass(frozen=True, slots=True)
class Place:
    """The organization, the number and the flow of the calls and texts."""

    org: UUID
    number_id: UUID
    e164: str
    flow: UUID


@dataclass(frozen=True, slots=True)
class Size:
    """Number of calls and threads, length of the newest call, and time between calls."""

    calls: int
    threads: int
    minutes: int = MINUTES
    minutes_apart: int = MINUTES_APART


async def fill(url: str, recordings: Path, place: Place, size: Size) -> str:
    """Fill the organization; return the id of the newest call, the long one."""
    calls, threads, minutes = size.calls, size.threads, size.minutes
    connection = await asyncpg.connect(url)
    try:
        # Without triggers: their work is done in bulk.
        await connection.execute("SET session_replication_role = replica")
        org, contacts = str(place.org), max(1, threads)
        await connection.execute(CONTACTS, org, contacts)
        await connection.execute(
            CALLS, org, calls, contacts, place.e164, place.number_id, place.flow, SUMMARIES, minutes, size.minutes_apart
        )
        await connection.execute(TURN_LATENCIES, org, calls)
        await connection.execute(TURNS, org, calls, LINES, minutes)
        await connection.execute(TAGS, org, calls)
        await connection.execute(CALL_SEARCH, place.org)
        await connection.execute(GENERATIONS, org, threads)
        await connection.execute(THREADS, org, threads, place.e164, place.number_id, LINES)
        await connection.execute(MESSAGES, org, threads, LINES)
        await connection.execute(COUNTS, place.org)
        await connection.execute(LATENCIES, place.org)
        path, size_bytes = await asyncio.to_thread(record, recordings, org, minutes)
        newest = await connection.fetchval(LONG_STREAM, org, calls, path, minutes * 60_000, size_bytes)
        for table in TABLES:
            await connection.execute(f"VACUUM ANALYZE {table}")
    finally:
        await connection.close()
    return ids.show(ids.Kind.CALL, newest)


def record(recordings: Path, name: str, minutes: int) -> tuple[str, int]:
    """Write a recording of two people who talk in turn, and its peaks; return its path below `recordings`, and its bytes."""
    file = recordings / f"bench-{name}.wav"
    recordings.mkdir(parents=True, exist_ok=True)
    part = _minute()
    all_peaks = peaks.Peaks(2)
    data_bytes = part.nbytes * minutes
    with file.open("wb") as wav:
        wav.write(header(data_bytes))
        for _ in range(minutes):
            wav.write(part.tobytes())
            all_peaks.add(peaks.of_pcm(part))
    peaks.path_for(file).write_bytes(peaks.pack(all_peaks.all()))
    return file.name, file.stat().st_size


def _minute() -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    """Return a minute of both channels: each speaks while the other is silent, with the dynamics of speech."""
    at = np.arange(60 * RATE) / RATE
    loudness = 9000 * np.abs(np.sin(2 * np.pi * 2.3 * at)) * (0.4 + 0.6 * np.abs(np.sin(2 * np.pi * 0.21 * at)))
    tone = loudness * np.sin(2 * np.pi * TONE_HZ * at)
    is_caller = (at % 12) < 5
    both = np.stack([np.where(is_caller, tone, 0), np.where(is_caller, 0, tone)], axis=1)
    return both.astype("<i2").reshape(-1)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console.clinic", description=__doc__)
    parser.add_argument("--organization", required=True)
    parser.add_argument("--number", required=True, help="id")
    parser.add_argument("--e164", required=True)
    parser.add_argument("--flow", required=True)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--threads", type=int, default=80)
    parser.add_argument("--minutes", type=int, default=MINUTES, help="of the newest call")
    parser.add_argument("--minutes-apart", type=int, default=MINUTES_APART, help="between calls")
    options = parser.parse_args(argv)
    settings = load(UpSettings)
    url = home.read_run(settings.home)["database_url"]
    place = Place(
        ids.require(ids.Kind.ORGANIZATION, options.organization),
        ids.require(ids.Kind.NUMBER, options.number),
        options.e164,
        ids.require(ids.Kind.FLOW, options.flow),
    )
    size = Size(options.calls, options.threads, options.minutes, options.minutes_apart)
    newest = asyncio.run(fill(url, settings.home / "recordings", place, size))
    sys.stdout.write(newest + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
