"""Twilio's errors in its REST API's wording."""

from starlette.responses import JSONResponse

STATUS = {
    20001: 400,
    20003: 401,
    20004: 405,
    20404: 404,
    21201: 400,
    21205: 400,
    21210: 400,
    21211: 400,
    21213: 400,
    21220: 400,
    21421: 400,
    21422: 400,
    21452: 400,
}


class ApiError(Exception):
    """A refusal with Twilio's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def response(self) -> JSONResponse:
        status = STATUS[self.code]
        body = {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": status,
        }
        headers = {"WWW-Authenticate": 'Basic realm="Twilio API"'} if status == 401 else None
        return JSONResponse(body, status, headers)
