"""The HTTP client of OpenAI's SDK.  Importing it imports the SDK, which takes long."""

from typing import Any

from openai import DefaultAsyncHttpxClient

from hum import answers
from hum.answers import BadAnswer

#: Of the model's answers: the SDK makes an object of each member; five minutes of speech are 14 MiB.
MOST_MEMBERS, MOST_BYTES, MOST_SPEECH_BYTES = 20_000, 2 << 20, 32 << 20


class BoundedClient(DefaultAsyncHttpxClient):
    """A client whose answers come whole, and are no larger than any of the model's."""

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request.  Raises BadAnswer."""
        request.headers["accept-encoding"] = "identity"
        response = await super().send(request, **{**options, "stream": True})
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise BadAnswer("an answer in a coding that was not asked for")
            is_speech = response.headers.get("content-type", "").startswith(("audio/", "application/octet-stream"))
            body = await answers.read(response.aiter_raw(), MOST_SPEECH_BYTES if is_speech else MOST_BYTES)
        finally:
            await response.aclose()
        if not is_speech:
            answers.require_few(body, MOST_MEMBERS)
        return type(response)(response.status_code, headers=response.headers, content=body, request=request)
