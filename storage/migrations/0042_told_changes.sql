-- Changes that pages show and the stream did not tell: links of contacts, the answer to a look-up that says the same as before, and the text
-- to whoever calls in vain.
CREATE TRIGGER contact_links_told_first AFTER INSERT OR DELETE ON contact_links
    FOR EACH ROW EXECUTE FUNCTION hum.tell_owner('contact', 'first_id');
CREATE TRIGGER contact_links_told_second AFTER INSERT OR DELETE ON contact_links
    FOR EACH ROW EXECUTE FUNCTION hum.tell_owner('contact', 'second_id');
CREATE TRIGGER contacts_looked_up AFTER UPDATE OF looked_up_at ON contacts
    FOR EACH ROW WHEN (
        OLD.looked_up_at IS DISTINCT FROM NEW.looked_up_at
        AND (OLD.carrier, OLD.line_type, OLD.caller_name) IS NOT DISTINCT FROM (NEW.carrier, NEW.line_type, NEW.caller_name))
    EXECUTE FUNCTION hum.tell_change('contact');
CREATE TRIGGER numbers_text_changed AFTER UPDATE OF missed_call_text ON numbers
    FOR EACH ROW WHEN (OLD.missed_call_text IS DISTINCT FROM NEW.missed_call_text)
    EXECUTE FUNCTION hum.tell_change('number');
