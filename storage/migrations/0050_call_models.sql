-- The models that a call's agents spoke with, in order.
ALTER TABLE calls ADD COLUMN models text[] NOT NULL DEFAULT '{}';
