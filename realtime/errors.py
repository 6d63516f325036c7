"""OpenAI's refusals, as REST bodies and as `error` events.  Pure."""

from typing import Any


class Refusal(Exception):  # noqa: N818  (it says what happened)
    """A request that the API refuses; `param` names the field at fault, as a path."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.code, self.param, self.type, self.status = code, param, type, status

    def body(self) -> dict[str, Any]:
        return {"type": self.type, "code": self.code, "message": str(self), "param": self.param}


def unknown_parameter(param: str) -> Refusal:
    return Refusal(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)


def missing(param: str) -> Refusal:
    return Refusal(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def wrong_type(param: str, expected: str, value: object) -> Refusal:
    names = {
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        list: "an array",
        dict: "an object",
    }
    got = "null" if value is None else names.get(type(value), type(value).__name__)
    return Refusal(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.", code="invalid_type", param=param
    )


def wrong_value(param: str, value: object, supported: tuple[str, ...]) -> Refusal:
    choices = ", ".join(f"'{choice}'" for choice in supported)
    return Refusal(f"Invalid value: '{value}'. Supported values are: {choices}.", code="invalid_value", param=param)


#: The API's error for a connection or request that it rejects outright; other statuses use the text of 503.
_REJECTIONS = {
    401: ("Incorrect API key provided.", "invalid_api_key", "invalid_request_error"),
    429: ("Rate limit reached for requests.", "rate_limit_exceeded", "requests"),
    500: ("The server had an error while processing your request.", "server_error", "server_error"),
    503: ("The engine is currently overloaded, please try again later.", "overloaded", "server_error"),
}


def rejection(status: int) -> Refusal:
    message, code, type = _REJECTIONS.get(status, _REJECTIONS[503])
    return Refusal(message, code=code, type=type, status=status)
