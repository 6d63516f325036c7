"""Errors in the wording of Twilio's REST API."""

from starlette.responses import JSONResponse

STATUS = {
    20001: 400,
    20003: 401,
    20004: 405,
    20404: 404,
    20429: 429,
    20500: 500,
    14107: 429,
    21611: 429,
    21201: 400,
    21205: 400,
    21210: 400,
    21211: 400,
    21212: 400,
    21213: 400,
    21215: 400,
    21220: 400,
    21421: 400,
    21422: 400,
    21452: 400,
}
#: The status of every error without an entry above, such as all refusals of the Messages resource.
REFUSED = 400


class ApiError(Exception):
    """A refusal with Twilio's error code."""

    def __init__(self, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self._headers = headers or {}

    def response(self) -> JSONResponse:
        status = STATUS.get(self.code, REFUSED)
        body = {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": status,
        }
        challenge = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if status == 401 else {}
        return JSONResponse(body, status, challenge | self._headers)
