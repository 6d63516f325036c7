-- Each version of a flow says what it changed: a list of versions needs no documents for that.

ALTER TABLE flow_versions ADD COLUMN changed text[] NOT NULL DEFAULT '{}';

SET LOCAL ROLE hum_system;
UPDATE flow_versions v
   SET changed = ARRAY(SELECT coalesce(a.key, b.key)
                         FROM json_each(v.definition) a
                         FULL JOIN json_each(p.definition) b ON a.key = b.key
                        WHERE a.value::text IS DISTINCT FROM b.value::text
                        ORDER BY 1)
  FROM flow_versions p
 WHERE p.flow_id = v.flow_id AND p.version = v.version - 1;
