-- Why a call's recording ends before the call, or is missing.
ALTER TABLE calls ADD COLUMN recording_fault text;
