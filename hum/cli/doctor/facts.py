"""What `hum doctor` looks at, as it was found.  Plain data; `probes` fills it, `rules` judges it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.  `status` 0: there was none, and `fault` says why; `skew_seconds`: by how much its clock is ahead."""

    status: int
    text: str = ""
    fault: str = ""
    skew_seconds: float | None = None
    json: Any = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Recordings that are on this machine, and not in the bucket yet."""

    files: int
    size_bytes: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Database:
    """What `python -m storage inspect` prints; `fault` says why it could not look."""

    fault: str = ""
    version: int = 0  # as server_version_num: 170002 is 17.2
    encoding: str = ""
    settings: dict[str, str] | None = None
    is_standby: bool = False
    missing_roles: Sequence[str] = ()
    unapplied: Sequence[str] = ()
    is_newer: bool = False
    skew_seconds: float = 0.0
    #: Numbers that organizations have; at most `MOST_NUMBERS` of storage.facts.
    numbers: Sequence[str] = ()
    #: Those of them that no agent answers.
    silent: Sequence[str] = ()
    #: Of each media process that is there: `refuses` (why it takes no calls; empty: it takes them), `zone`, `version`, `places`.
    #: None: the schema is another's.
    media: Sequence[Mapping[str, Any]] | None = None
    #: The latest call: `seconds_ago`, `status`, `reason`.
    last_call: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that planes show each other.  `fault`: why it can't be used, a sentence."""

    fault: str = ""
    names: Sequence[str] = ()
    days_left: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A number at the carrier, and where it sends calls and their status."""

    e164: str
    voice_url: str
    status_url: str


@dataclass(frozen=True, slots=True)
class Engine:
    """What `python -m media.inspect` prints of the core and BLAS; `fault` says why it could not look."""

    fault: str = ""
    compiled: bool = False
    interpreted: bool = False  # by HUM_MEDIA_INTERPRETED
    blas: str = ""
    blas_threads: int = 0
