-- Who follows an organization is told of its contacts too.

CREATE TRIGGER contacts_made AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION hum.tell_change('contact');
-- What is shown of one; not that it was met or looked up again.
CREATE TRIGGER contacts_changed AFTER UPDATE ON contacts
    FOR EACH ROW WHEN (
        (OLD.name, OLD.email, OLD.company, OLD.notes, OLD.tags, OLD.attributes_json, OLD.carrier, OLD.line_type, OLD.caller_name)
        IS DISTINCT FROM
        (NEW.name, NEW.email, NEW.company, NEW.notes, NEW.tags, NEW.attributes_json, NEW.carrier, NEW.line_type, NEW.caller_name))
    EXECUTE FUNCTION hum.tell_change('contact');
CREATE TRIGGER contacts_gone AFTER DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION hum.tell_gone('contact');
