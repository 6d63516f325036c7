-- The line of its file that a row was last read from. Null in imports from before.
ALTER TABLE contact_import_rows ADD COLUMN line integer;
