-- What was to be used: something else that has its name by now is not what a person approved.  Of older rows nobody knows it, so none
-- of them is carried out.
ALTER TABLE approvals ADD COLUMN origin text NOT NULL DEFAULT '';
