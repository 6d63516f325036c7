-- What a turn of a call's transcript is to a watcher, who saw its deltas before; empty for turns of earlier releases.
ALTER TABLE call_turns ADD COLUMN item_id text NOT NULL DEFAULT '';
