-- A stream's unfinished turns as last reported, a serialized CallUnderWay: if the media process dies, they go into the
-- transcript.  Written twice a second while somebody talks, so pages leave room for updates in place.
ALTER TABLE call_streams ADD COLUMN under_way bytea;
ALTER TABLE call_streams SET (fillfactor = 50);
