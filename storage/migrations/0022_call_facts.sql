-- Facts of calls as rows instead of JSON arrays, and one row for each tool call of an agent.

-- What the model of a call called and got, as the media process reports it, beside what control executed. Status and
-- arguments are null if control executed nothing: the call carried the tool out itself, or refused it.
ALTER TABLE tool_runs
    ALTER COLUMN status DROP NOT NULL,
    ALTER COLUMN arguments DROP NOT NULL,
    -- When the model called it; null: not reported.
    ADD COLUMN report_at timestamptz,
    ADD COLUMN report_status text CHECK (report_status IN ('running', 'ok', 'failed', 'lost')),
    ADD COLUMN report_ms integer,
    -- Null: as executed.
    ADD COLUMN report_arguments json,
    ADD COLUMN report_result json,
    ADD CONSTRAINT tool_runs_reported CHECK ((report_at IS NULL) = (report_status IS NULL)),
    ADD CONSTRAINT tool_runs_executed_or_reported CHECK (num_nonnulls(status, report_at) > 0);

-- Rows of a call live as long as the call; of the others, the old ones are purged.
DROP INDEX tool_runs_age;
CREATE INDEX tool_runs_age ON tool_runs (started_at) WHERE call_id IS NULL AND conversation_id IS NULL;
CREATE INDEX tool_runs_org_age ON tool_runs (org_id, started_at) WHERE call_id IS NULL;

-- When the model was, or may have been, called in the last attempt; null: it was not. Instead of a flag.
ALTER TABLE text_runs ADD COLUMN asked_at timestamptz;

-- Times at which the caller spoke over the agent. A report is stored once, however often it comes; stream 0: reported
-- before reports had rows.
CREATE TABLE call_interruptions (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    report_seq bigint NOT NULL,
    at_ms integer NOT NULL,
    heard_ms integer NOT NULL,
    reaction_ms integer NOT NULL,
    verdict text NOT NULL,
    -- The turn that was spoken over, if it is known.
    turn_seq integer,
    onset text,
    reason text,
    decided_ms integer,
    spoken_ms integer,
    PRIMARY KEY (call_id, stream_number, report_seq)
);
CALL hum.tenant_table('call_interruptions');

-- How long the caller waited for a turn of the agent, by parts.
CREATE TABLE call_turn_latencies (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    report_seq bigint NOT NULL,
    turn_seq integer NOT NULL,
    first_sound_ms integer NOT NULL,
    first_answer_ms integer NOT NULL,
    ours_ms integer NOT NULL,
    model_ms integer NOT NULL,
    PRIMARY KEY (call_id, stream_number, report_seq)
);
CALL hum.tenant_table('call_turn_latencies');

-- Ids that sort by this time, and by `n` within it.
CREATE FUNCTION hum.id_at(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 4, '0') || left(md5(random()::text), 16))::uuid
$$;

-- Without NUL, of which no operator can make a text.
CREATE FUNCTION hum.without_nul(value json) RETURNS json LANGUAGE sql AS $$
    SELECT regexp_replace(value::text, '(?<!\\)((\\\\)*)\\u0000', '\1', 'g')::json
$$;

CREATE FUNCTION hum.text_of(value json) RETURNS text LANGUAGE sql AS $$
    SELECT left(value #>> '{}', 200)
$$;

-- Texts of tools were cut, so they may be no JSON.
CREATE FUNCTION hum.json_of(value text) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    RETURN value::json;
EXCEPTION WHEN invalid_text_representation THEN
    RETURN to_json(value);
END
$$;

SET LOCAL ROLE hum_system;

INSERT INTO tool_runs AS r (id, org_id, channel, purpose, call_id, tool_call_id, name, started_at,
                            report_at, report_status, report_ms, report_arguments, report_result)
SELECT hum.id_at(at, n), org_id, 'call', 'agent', call_id, tool_call_id, name, at, at, status, duration_ms, arguments, result
  FROM (SELECT DISTINCT ON (c.id, hum.text_of(tool -> 'id'))
               c.org_id, c.id AS call_id, n, hum.text_of(tool -> 'id') AS tool_call_id, hum.text_of(tool -> 'name') AS name,
               coalesce((tool ->> 'started_at')::timestamptz, c.created_at) AS at,
               CASE WHEN tool ->> 'status' IN ('running', 'ok', 'failed') THEN tool ->> 'status' ELSE 'lost' END AS status,
               (tool ->> 'duration_ms')::integer AS duration_ms, tool -> 'arguments' AS arguments,
               nullif((tool -> 'result')::text, 'null')::json AS result
          FROM calls c CROSS JOIN LATERAL json_array_elements(hum.without_nul(c.tool_activity)) WITH ORDINALITY AS each (tool, n)
         ORDER BY c.id, hum.text_of(tool -> 'id'), n DESC) reported
ON CONFLICT (call_id, tool_call_id) DO UPDATE
   SET report_at = excluded.report_at, report_status = excluded.report_status, report_ms = excluded.report_ms,
       report_arguments = nullif(excluded.report_arguments::text, r.arguments::text)::json,
       report_result = nullif(excluded.report_result::text, r.output::text)::json;

-- Those that are not stored: they were purged, or refused.
INSERT INTO tool_runs (id, org_id, channel, purpose, conversation_id, run_id, flow_id, flow_version, tool_call_id, name,
                       arguments, output, status, started_at, duration_ms)
SELECT hum.id_at((tool ->> 'started_at')::timestamptz, n), t.org_id, 'text', 'agent', t.conversation_id, t.id, t.flow_id,
       t.flow_version, hum.text_of(tool -> 'id'), hum.text_of(tool -> 'name'), hum.json_of(tool ->> 'arguments_json'),
       hum.json_of(tool ->> 'result_json'), tool ->> 'status', (tool ->> 'started_at')::timestamptz,
       (tool ->> 'duration_ms')::integer
  FROM text_runs t CROSS JOIN LATERAL json_array_elements(hum.without_nul(t.tool_calls)) WITH ORDINALITY AS each (tool, n)
 WHERE NOT EXISTS (SELECT FROM tool_runs r WHERE r.run_id = t.id AND r.tool_call_id = hum.text_of(tool -> 'id'));

UPDATE text_runs SET asked_at = created_at WHERE asked;

INSERT INTO call_interruptions
SELECT c.org_id, c.id, 0, n, i.at_ms, i.heard_ms, i.reaction_ms, i.verdict, i.turn_seq, i.onset, i.reason, i.decided_ms, i.spoken_ms
  FROM calls c CROSS JOIN LATERAL json_array_elements(c.interruptions) WITH ORDINALITY AS each (item, n)
 CROSS JOIN LATERAL (SELECT coalesce(at_ms, 0) AS at_ms, coalesce(heard_ms, 0) AS heard_ms, coalesce(reaction_ms, 0) AS reaction_ms,
                            coalesce(verdict, '') AS verdict, turn_seq, onset, reason, decided_ms, spoken_ms
                       FROM json_to_record(item) AS stored (
                            at_ms integer, heard_ms integer, reaction_ms integer, verdict text, turn_seq integer, onset text,
                            reason text, decided_ms integer, spoken_ms integer)) i;

INSERT INTO call_turn_latencies
SELECT c.org_id, c.id, 0, n, l.turn_seq, l.first_sound_ms, l.first_answer_ms, l.ours_ms, l.model_ms
  FROM calls c CROSS JOIN LATERAL json_array_elements(c.latency) WITH ORDINALITY AS each (item, n)
 CROSS JOIN LATERAL (SELECT coalesce(turn_seq, 0) AS turn_seq, coalesce(first_sound_ms, 0) AS first_sound_ms,
                            coalesce(first_answer_ms, 0) AS first_answer_ms, coalesce(ours_ms, 0) AS ours_ms,
                            coalesce(model_ms, 0) AS model_ms
                       FROM json_to_record(item) AS stored (
                            turn_seq integer, first_sound_ms integer, first_answer_ms integer, ours_ms integer,
                            model_ms integer)) l;

SET LOCAL ROLE hum_owner;

DROP FUNCTION hum.id_at(timestamptz, bigint);
DROP FUNCTION hum.without_nul(json);
DROP FUNCTION hum.text_of(json);
DROP FUNCTION hum.json_of(text);

ALTER TABLE calls DROP COLUMN tool_activity, DROP COLUMN interruptions, DROP COLUMN latency;
ALTER TABLE text_runs DROP COLUMN tool_calls, DROP COLUMN asked;
CREATE INDEX text_runs_asked ON text_runs (org_id, created_at) WHERE asked_at IS NOT NULL;
