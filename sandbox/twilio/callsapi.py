"""The Calls resource of the REST API: create, read, list, update.

Source: Twilio's Call resource and its dictionary of errors.  A new call is `queued`; `initiated` exists in callbacks only, the
resource stays `queued` until the phone rings.  `start_time` is empty until the call was dialled, so a filter on it misses
calls that are still queued.
"""

from collections.abc import Callable
from datetime import datetime

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.twilio.amd import Amd
from sandbox.twilio.call import API_VERSION, Call, Callback, Document, Fallback, Fetch, Instruction
from sandbox.twilio.dialplan import e164_of
from sandbox.twilio.errors import ApiError
from sandbox.twilio.exchange import Exchange
from sandbox.twilio.forms import Json, not_found, page, rfc2822, text, whole, within
from sandbox.twilio.numbers import national
from sandbox.twilio.placed import MAX_CALL_S, CallRequest

EVENTS = {"initiated", "ringing", "answered", "completed"}
MAX_TWIML_CHARS = 4_000
MAX_TIMEOUT_S, MAX_TIME_LIMIT_S = 600, 24 * 3600


class CallsApi:
    """Endpoints for one exchange's calls."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def create(self, request: Request) -> Response:
        form = await request.form()
        to, from_ = self._parties(form)
        first = _instruction(form)
        if first is None:
            raise ApiError(21205, "Url parameter is required.")
        amd, amd_callback = _detection(form)
        order = CallRequest(
            to=to,
            from_=from_,
            first=first,
            callback=_callback(form),
            fallback=Fallback(text(form, "FallbackUrl"), _method(form, "FallbackMethod"))
            if text(form, "FallbackUrl")
            else None,
            timeout_s=min(MAX_TIMEOUT_S, whole(text(form, "Timeout"), 60)),
            time_limit_s=min(MAX_TIME_LIMIT_S, whole(text(form, "TimeLimit"), MAX_CALL_S)),
            amd=amd,
            amd_callback=amd_callback,
        )
        return JSONResponse(call_json(self._exchange.place(order)), 201)

    async def list(self, request: Request) -> Response:
        matches = _filter(request.query_params)
        calls = [call_json(call) for call in reversed(self._exchange.calls.values()) if matches(call)]
        return page(request, "calls", calls)

    async def fetch(self, request: Request) -> Response:
        return JSONResponse(call_json(self._call(request)))

    async def update(self, request: Request) -> Response:
        call, form = self._call(request), await request.form()
        status, instruction = text(form, "Status"), _instruction(form)
        if call.is_over or call.hung_up_by is not None:
            raise ApiError(21220, "Call is not in-progress. Cannot redirect.")
        if status in {"completed", "canceled"}:
            if status == "completed" or call.status != "in-progress":
                call.hang_up("rest")
        elif status:
            raise ApiError(20001, f"Invalid Status: {status}")
        elif instruction is not None:
            if call.status != "in-progress":
                raise ApiError(21220, "Call is not in-progress. Cannot redirect.")
            call.redirect(instruction)
        return JSONResponse(call_json(call))

    def _parties(self, form: FormData) -> tuple[str, str]:
        to, from_ = text(form, "To"), text(form, "From")
        if not to:
            raise ApiError(21201, "No 'To' number is specified")
        if not from_:
            raise ApiError(21213, "No 'From' number is specified")
        callee, caller = e164_of(to), e164_of(from_)
        if callee is None:
            raise ApiError(21211, f"Invalid 'To' Phone Number: {to}")
        if caller is None:
            raise ApiError(21212, f"Invalid 'From' Phone Number: {from_}")
        if self._exchange.numbers.find(caller) is None:
            raise ApiError(
                21210,
                f"The source phone number provided, {from_}, is not yet verified for your account. You may only make "
                "calls from phone numbers that you've verified or purchased from Twilio.",
            )
        if self._exchange.unreachable(callee):
            raise ApiError(
                21215,
                f"Account not authorized to call {to}. Perhaps you need to enable some international permissions: "
                "https://www.twilio.com/console/voice/calls/geo-permissions/low-risk",
            )
        return callee, caller

    def _call(self, request: Request) -> Call:
        call = self._exchange.calls.get(request.path_params["sid"])
        if call is None:
            raise not_found(request)
        return call


def call_json(call: Call) -> Json:
    """Return a Call resource."""
    uri = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}.json"
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": call.parent_sid,
        "phone_number_sid": call.number_sid,
        "to": call.to,
        "to_formatted": national(call.to),
        "from": call.from_,
        "from_formatted": national(call.from_),
        "status": resource_status(call),
        "direction": call.direction,
        "date_created": rfc2822(call.created_at),
        "date_updated": rfc2822(call.ended_at or call.answered_at or call.dialled_at or call.created_at),
        "start_time": rfc2822(call.dialled_at),
        "end_time": rfc2822(call.ended_at),
        "duration": str(call.duration_s) if call.is_over else None,
        "answered_by": call.answered_by,
        "price": None,
        "price_unit": "USD",
        "forwarded_from": None,
        "caller_name": None,
        "group_sid": None,
        "trunk_sid": "",
        "queue_time": str(round((call.dialled_at - call.created_at).total_seconds() * 1000))
        if call.dialled_at
        else "0",
        "annotation": None,
        "api_version": API_VERSION,
        "uri": uri,
        "subresource_uris": {name.lower(): uri.replace(".json", f"/{name}.json") for name in ("Recordings", "Streams")},
    }


def resource_status(call: Call) -> str:
    return "queued" if call.status == "initiated" else call.status


def _instruction(form: FormData) -> Instruction | None:
    if document := text(form, "Twiml"):
        if len(document) > MAX_TWIML_CHARS:
            raise ApiError(20001, f"Twiml must be at most {MAX_TWIML_CHARS} characters")
        return Document(document)
    if url := text(form, "Url"):
        if not url.startswith(("http://", "https://")):
            raise ApiError(21205, f"Url is not a valid URL: {url}")
        return Fetch(url, _method(form, "Method"))
    return None


def _callback(form: FormData) -> Callback | None:
    url = text(form, "StatusCallback")
    if not url:
        return None
    events = frozenset(word for value in form.getlist("StatusCallbackEvent") for word in str(value).split())
    return Callback(url, _method(form, "StatusCallbackMethod"), events & EVENTS or frozenset({"completed"}))


def _detection(form: FormData) -> tuple[Amd | None, Callback | None]:
    """Parse MachineDetection and its tuning, with the ranges of Twilio's page.

    Return the parameters, and the verdict's callback if the call does not wait for it.  Raises ApiError.
    """
    mode = text(form, "MachineDetection")
    if not mode or mode.lower() == "none":
        return None, None
    if mode not in {"Enable", "DetectMessageEnd"}:
        raise ApiError(20001, f"Invalid MachineDetection: {mode}")

    def number(name: str, default: int, low: int, high: int) -> int:
        value = text(form, f"MachineDetection{name}")
        if value and not (value.isdecimal() and low <= int(value) <= high):
            raise ApiError(20001, f"Invalid MachineDetection{name}: {value}")
        return whole(value, default)

    amd = Amd(
        until_end=mode == "DetectMessageEnd",
        timeout_ms=number("Timeout", 30, 3, 59) * 1000,
        speech_ms=number("SpeechThreshold", 2_400, 1_000, 6_000),
        speech_end_ms=number("SpeechEndThreshold", 1_200, 500, 5_000),
        silence_ms=number("SilenceTimeout", 5_000, 2_000, 10_000),
    )
    url = text(form, "AsyncAmdStatusCallback")
    if text(form, "AsyncAmd").lower() != "true":
        return amd, None
    return amd, Callback(url, _method(form, "AsyncAmdStatusCallbackMethod"))


def _filter(query: QueryParams) -> Callable[[Call], bool]:
    fields: dict[str, Callable[[Call], str | None]] = {
        "To": lambda call: call.to,
        "From": lambda call: call.from_,
        "Status": resource_status,
        "ParentCallSid": lambda call: call.parent_sid,
    }
    times: dict[str, Callable[[Call], datetime | None]] = {
        "StartTime": lambda call: call.dialled_at,
        "EndTime": lambda call: call.ended_at,
    }

    def matches(call: Call) -> bool:
        return all(read(call) == query[name] for name, read in fields.items() if query.get(name)) and all(
            within(read(call), query[name + relation], relation)
            for name, read in times.items()
            for relation in ("", "<", ">")
            if query.get(name + relation)
        )

    return matches


def _method(form: FormData, name: str) -> str:
    return text(form, name).upper() or "POST"
