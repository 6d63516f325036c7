"""The check of the carrier's forms as they arrive: signed by it, and from accounts that are ours."""

from prometheus_client import Counter
from starlette.requests import Request

from gateway import carrierforms
from gateway.bodies import BadBody, Bodies
from hum import twiliosignature
from hum.contract.errors import Forbidden
from hum.observe.logs import log
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

    async def read(self, request: Request) -> dict[str, str]:
        """Return the form.  Raises Forbidden if the carrier did not sign it or it is of another account; as `Bodies.read`.

        Our webhooks have no query, so a query is refused.
        """
        signature = request.headers.get("x-twilio-signature", "")
        if not twiliosignature.looks_signed(signature) or request.url.query or NEW_SCHEME in request.headers:
            raise _unsigned(request)
        body = await self._bodies.read(request)
        try:
            signed = carrierforms.parse(body)
        except ValueError as error:
            raise BadBody("PAYLOAD_TOO_LARGE", "The form has too many fields.") from error
        url = self._settings.public_url + request.scope["raw_path"].decode("ascii", "replace")
        if not twiliosignature.is_signed(self._settings.twilio_auth_tokens, url, signed, signature):
            SIGNED.labels("unsigned").inc()
            raise _unsigned(request)
        form = carrierforms.readable(signed)
        if form.get("AccountSid") not in self._settings.carrier_accounts:
            SIGNED.labels("other_account").inc()
            raise forbidden(request, "The request comes from another account of the carrier.")
        SIGNED.labels("signed").inc()
        return form


def _unsigned(request: Request) -> Forbidden:
    return forbidden(request, "The request does not have a valid signature of the carrier.")


def forbidden(request: Request, why: str) -> Forbidden:
    """Log the refusal of a webhook, and return it."""
    # The route, and not the path: a stranger's may have 60 KB.
    LOG.warning("carrier webhook refused", route=request.scope["route"].path, why=why)
    return Forbidden(why)
