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

-- Ids that sort by this time, and by `n` within it.
CREATE FUNCTION hum.id_at(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(to_hex(n), 4, '0') || left(md5(random()::text), 16))::uuid
$$;

CREATE FUNCTION hum.text_of(value json) RETURNS text LANGUAGE sql AS $$
    SELECT left(replace(value::text, '\u0000', '')::json #>> '{}', 200)
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
          FROM calls c CROSS JOIN LATERAL json_array_elements(c.tool_activity) WITH ORDINALITY AS each (tool, n)
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
  FROM text_runs t CROSS JOIN LATERAL json_array_elements(t.tool_calls) WITH ORDINALITY AS each (tool, n)
 WHERE NOT EXISTS (SELECT FROM tool_runs r WHERE r.run_id = t.id AND r.tool_call_id = hum.text_of(tool -> 'id'));

UPDATE text_runs SET asked_at = created_at WHERE asked;

SET LOCAL ROLE hum_owner;

DROP FUNCTION hum.id_at(timestamptz, bigint);
DROP FUNCTION hum.text_of(json);
DROP FUNCTION hum.json_of(text);

ALTER TABLE calls DROP COLUMN tool_activity;
ALTER TABLE text_runs DROP COLUMN tool_calls, DROP COLUMN asked;
CREATE INDEX text_runs_asked ON text_runs (org_id, created_at) WHERE asked_at IS NOT NULL;
