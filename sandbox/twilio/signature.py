"""X-Twilio-Signature: base64 of HMAC-SHA1 over the URL and the sorted form fields, keyed with the auth token.

Source: Twilio's "Validate requests" page.  The fragment of a URL is never signed.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


def sign(auth_token: str, url: str, fields: Fields = ()) -> str:
    """Return the signature of a request to `url`, exactly as it is sent; a GET or a WebSocket upgrade has no fields."""
    values: dict[str, set[str]] = {}
    for name, value in fields.items() if isinstance(fields, Mapping) else fields:
        values.setdefault(name, set()).add(value)
    signed = url.partition("#")[0] + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
