-- What a call's summary was written from, so that turns that arrive after it are noticed.

ALTER TABLE calls
    -- The event of the call's stream with the last turn that the summary has read; null: of an earlier release.
    ADD COLUMN summarized_seq integer,
    -- Whether the outcome was judged with the summary: the next summary may change it.
    ADD COLUMN outcome_is_judged boolean NOT NULL DEFAULT false;
