"""The carrier's webhooks as they arrive: signed forms, from accounts that are ours."""

from prometheus_client import Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway import credentials, errors, twiml
from gateway.bodies import BadBody, Bodies
from hum import carrier
from hum.observe.telemetry import log
from hum.settings import GatewaySettings

LOG = log(__name__)
#: The carrier sends about 1 KiB, and some 40 KiB for the longest text in the widest script.
FORM_BYTES = 64 << 10
NEW_SCHEME = "x-twilio-webhooks-signature-settings"
#: `unsigned` counts only requests with some signature: scanners send none.
SIGNED = Counter(
    "hum_carrier_webhooks_total",
    "Webhooks that bear a signature: `signed`, `unsigned` (a wrong one), `other_account`",
    ["how"],
)


class SignedForms:
    """A reader of the carrier's forms."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        # Separate from the limit on clients' bodies, which clients can exhaust; the number of connections bounds these.
        self._bodies = Bodies(FORM_BYTES, settings.max_connections * FORM_BYTES, settings.body_seconds)

    async def read(self, request: Request) -> dict[str, str] | Response:
        """Return the form, or the refusal if it is too large, not signed by the carrier, or from another account.

        Our webhooks have no query, so a query is refused.
        """
        signature = request.headers.get("x-twilio-signature", "")
        if not carrier.looks_signed(signature) or request.url.query or NEW_SCHEME in request.headers:
            return _unsigned(request)
        try:
            signed = twiml.form(await self._bodies.read(request))
        except BadBody as error:
            return errors.refusal(error.reason, str(error), credentials.request_id(request))
        except ClientDisconnect:
            return _unsigned(request)
        except ValueError:
            return errors.refusal("PAYLOAD_TOO_LARGE", "The form has too many fields.", credentials.request_id(request))
        url = self._settings.public_url + request.scope["raw_path"].decode("ascii", "replace")
        if not carrier.is_signed(self._settings.twilio_auth_tokens, url, signed, signature):
            SIGNED.labels("unsigned").inc()
            return _unsigned(request)
        form = {twiml.readable(name): twiml.readable(value) for name, value in signed}
        if form.get("AccountSid") not in self._settings.carrier_accounts:
            SIGNED.labels("other_account").inc()
            return forbidden(request, "The request comes from another account of the carrier.")
        SIGNED.labels("signed").inc()
        return form


def _unsigned(request: Request) -> Response:
    return forbidden(request, "The request does not have a valid signature of the carrier.")


def forbidden(request: Request, why: str) -> Response:
    """Log the refusal of a webhook, and return it."""
    LOG.warning("carrier webhook refused", path=request.url.path, why=why)
    return errors.refusal("FORBIDDEN", why, credentials.request_id(request))
