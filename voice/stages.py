"""The servers behind a cascade's stages: one request, and which server of a stage is asked next."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import aiohttp

from hum.cascades import StageEndpoint
from hum.observe.logs import log
from hum.settings import VoiceSettings
from voice.metrics import STAGE_FAILURES

LOG = log(__name__)
#: A server that has failed is asked last for so long.
AVOIDED_SECONDS = 15.0
MOST_ERROR_CHARS = 200
#: Statuses after which the same request may succeed a moment later.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Statuses that say that every request will be refused until somebody corrects the key, the account, the URL or the model's name.
LASTING = frozenset({401, 402, 403, 404, 405})

StageT = TypeVar("StageT", bound=StageEndpoint)


@dataclass(frozen=True, slots=True)
class StageUse:
    """A request to a stage's server: what it took, and what it used as the server says; `error`: how it failed."""

    stage: str
    model: str
    took_ms: int
    tokens_in: int = 0
    cached_tokens_in: int = 0
    tokens_out: int = 0
    heard_ms: int = 0
    spoken_ms: int = 0
    error: str = ""


#: Is told of each request that has ended; of one that was broken off, nothing is known.
TellUse = Callable[[StageUse], None]


class StageFailed(Exception):  # noqa: N818 - it says what happened
    """A server of a stage did not do its part; the message says why, without a secret.

    `is_passing`: a retry may help.  `is_lasting`: no other request will fare better.
    """

    def __init__(self, reason: str, *, is_passing: bool = False, is_lasting: bool = False) -> None:
        super().__init__(reason)
        self.is_passing, self.is_lasting = is_passing, is_lasting

    @property
    def manner(self) -> str:
        """How it failed, without what the server says, which may name the key."""
        return str(self).partition(":")[0]


class StageRequests(Protocol):
    """StageRequests to the servers of stages."""

    def stream(
        self, stage: StageEndpoint, path: str, most_bytes: int, *, json: Any = None, data: Any = None
    ) -> AsyncGenerator[bytes, None]:
        """Send a request and yield its answer as it comes, up to `most_bytes`.  Raises StageFailed."""


class StageClient:
    """The client of all stages; `keys` are the servers' keys by the names of their variables."""

    def __init__(self, http: aiohttp.ClientSession, keys: Mapping[str, str], settings: VoiceSettings) -> None:
        self._http, self._keys, self._settings = http, keys, settings

    async def stream(
        self, stage: StageEndpoint, path: str, most_bytes: int, *, json: Any = None, data: Any = None
    ) -> AsyncGenerator[bytes, None]:
        """Send a request and yield its answer as it comes.  Raises StageFailed."""
        key = self._keys.get(stage.key, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url, received = f"{stage.url.rstrip('/')}{path}", 0
        settings = self._settings
        try:
            async with asyncio.timeout(settings.voice_first_seconds) as limit:
                async with self._http.post(
                    url, json=json, data=data() if data else None, headers=headers, allow_redirects=False
                ) as answer:
                    await _require_success(answer)
                    async for payload in answer.content.iter_any():
                        received += len(payload)
                        if received > most_bytes:
                            raise StageFailed(f"an answer of more than {most_bytes} bytes")
                        limit.reschedule(None)
                        yield payload
                        limit.reschedule(asyncio.get_running_loop().time() + settings.voice_stall_seconds)
        except TimeoutError:
            raise StageFailed("it does not answer in time" if not received else "it stalls", is_passing=True) from None
        # Not chained: an error of the client may contain the URL.
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise StageFailed(f"it can't be reached: {type(error).__name__}", is_passing=True) from None


async def _require_success(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 200:
        kind = answer.headers.get("Content-Type", "")
        return _require_no_page(kind)
    content = await answer.content.read(4 * MOST_ERROR_CHARS)
    sentence = " ".join(content.decode(errors="replace").split())[:MOST_ERROR_CHARS]
    raise StageFailed(
        f"it answered {answer.status}: {sentence}",
        is_passing=answer.status in PASSING,
        is_lasting=answer.status in LASTING,
    )


def _require_no_page(content_type: str) -> None:
    if content_type.startswith("text/html"):
        raise StageFailed("it answered with a web page; is the URL that of the API?", is_lasting=True)


async def whole(payloads: AsyncIterator[bytes]) -> bytes:
    """Return a whole answer.  Raises StageFailed."""
    return b"".join([payload async for payload in payloads])


@dataclass(slots=True)
class Chain(Generic[StageT]):
    """The servers of one stage, in their order; those that failed a moment ago are last.  Shared by the calls of a process.

    `is_logged`: failures are logged and counted.
    """

    kind: str
    stages: Sequence[StageT]
    now: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    is_logged: bool = True
    _avoided: dict[int, float] = field(default_factory=dict)
    _lasting: dict[int, str] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        """How the last server fails for good, if all of them do; else empty."""
        return list(self._lasting.values())[-1] if len(self._lasting) == len(self.stages) else ""

    def order(self) -> list[StageT]:
        """Return the servers in the order in which they are asked."""
        now = self.now()
        places = sorted(range(len(self.stages)), key=lambda at: (self._avoided.get(at, 0.0) > now, at))
        return [self.stages[at] for at in places]

    def worked(self, stage: StageT) -> None:
        """Record that a server did its part."""
        self._lasting.pop(self._place(stage), None)

    def failed(self, stage: StageT, error: StageFailed, took_seconds: float, tell: TellUse) -> None:
        """Record that a server failed."""
        at = self._place(stage)
        self._avoided[at] = self.now() + AVOIDED_SECONDS
        self._lasting.pop(at, None)
        if error.is_lasting:
            self._lasting[at] = error.manner
        if self.is_logged:
            STAGE_FAILURES.labels(self.kind).inc()
            LOG.warning(
                "a stage of a cascade failed", stage=self.kind, number=at + 1, model=stage.model, error=str(error)
            )
        tell(StageUse(self.kind, stage.model, round(took_seconds * 1000), error=error.manner))

    def _place(self, stage: StageT) -> int:
        return next(at for at, each in enumerate(self.stages) if each is stage)
