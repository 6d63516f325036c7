"""The form of e-mails: plain text and HTML of the same content.  Pure."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from uuid import UUID

from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

from control.notifications.letters import Letter
from hum import ids
from hum.ids import Kind

SUBJECT_CHARS = 150
TEXT = """\
{{ letter.intro }}
{% for item in letter.items %}
{{ item.title }}
{% if item.detail %}{{ item.detail }}
{% endif %}{% if item.url %}{{ item.link }}: {{ item.url }}
{% endif %}{% endfor %}
--
{{ letter.footer }}
"""
HTML = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ letter.subject }}</title></head>
<body style="font-family: sans-serif; color: #222; max-width: 40em">
<p>{{ letter.intro }}</p>
{% for item in letter.items %}<p><strong>{{ item.title }}</strong>
{%- for line in item.detail.splitlines() %}<br>{{ line }}{% endfor %}
{%- if item.url %}<br><a href="{{ item.url }}">{{ item.link }}</a>{% endif %}</p>
{% endfor %}<p style="color: #666; font-size: small">{{ letter.footer }}</p>
</body></html>
"""
TEMPLATES = Environment(
    loader=DictLoader({"email.txt": TEXT, "email.html": HTML}),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


def message(letter: Letter, id: UUID, sender: str, to_address: str, at: datetime) -> EmailMessage:
    """Return the e-mail.  Its Message-ID is the same in each attempt, so a mailbox can show a duplicate once.

    Raises ValueError for an invalid address.
    """
    if "@" not in to_address:
        raise ValueError(f"{to_address!r} is no address")
    name, from_address = parseaddr(sender)
    email = EmailMessage(policy=SMTP)
    email["From"] = Address(name, addr_spec=from_address)
    email["To"] = Address(addr_spec=to_address)
    email["Subject"] = _header(letter.subject)
    email["Date"] = format_datetime(at)
    email["Message-ID"] = f"<{ids.show(Kind.EMAIL, id)}@{from_address.rpartition('@')[2]}>"
    email["Auto-Submitted"] = "auto-generated"
    email["X-Auto-Response-Suppress"] = "All"
    email.set_content(TEMPLATES.get_template("email.txt").render(letter=letter))
    email.add_alternative(TEMPLATES.get_template("email.html").render(letter=letter), subtype="html")
    return email


def _header(text: str) -> str:
    """Return a text as one line of a header.

    It holds no encoded word (RFC 2047) of its own, in which a line break could stand.
    """
    return " ".join(text.replace("=?", "= ?").split())[:SUBJECT_CHARS]
