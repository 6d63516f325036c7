-- Voicemails: what mailboxes write, its transcription, and its deletion.

-- A message as the streams of a call wrote it: one file, unless a stream was lost.
CREATE TABLE message_parts (
    org_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    stream_number integer NOT NULL,
    audio_path text NOT NULL,
    -- False: its stream has not said that it is over, and never will if its process died.
    whole boolean NOT NULL DEFAULT false,
    PRIMARY KEY (call_id, stream_number)
);
CREATE INDEX message_parts_org ON message_parts (org_id);
CALL hum.tenant_table('message_parts');

-- The call's summary waits for the transcript, until that has failed once.
ALTER TABLE voicemails ADD COLUMN transcription_failed boolean NOT NULL DEFAULT false;
-- Its files are deleted after it, and then the row.
ALTER TABLE voicemails ADD COLUMN deleted_at timestamptz;
DROP INDEX voicemails_page, voicemails_unheard;
CREATE INDEX voicemails_page ON voicemails (org_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX voicemails_unheard ON voicemails (org_id, id DESC) WHERE heard_at IS NULL AND deleted_at IS NULL;

-- Calls are found by the words of their messages, too.
CREATE OR REPLACE FUNCTION hum.index_call(call uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    INSERT INTO call_search (org_id, call_id, created_at, words)
    SELECT c.org_id, c.id, c.created_at,
           array_to_tsvector(hum.phone_words(c.from_e164) || hum.phone_words(c.to_e164))
           || to_tsvector('simple', left(hum.folded(concat_ws(' ',
                  (SELECT concat_ws(' ', k.name, k.company) FROM contacts k WHERE k.id = c.contact_id),
                  c.summary ->> 'text',
                  (SELECT v.transcript FROM voicemails v WHERE v.call_id = c.id AND v.deleted_at IS NULL),
                  (SELECT string_agg(t.text, ' ' ORDER BY t.seq) FROM call_turns t WHERE t.call_id = c.id))), 500000))
      FROM calls c
     WHERE c.id = call AND c.org_id = (SELECT hum.org_id())
    ON CONFLICT (call_id) DO UPDATE SET words = excluded.words
$$;
