"""The facts of `hum doctor`: plain data that `probes` collects and `rules` judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """An HTTP answer.

    `status` 0: there was none, for the reason in `fault`; `skew_seconds`: how far its clock is ahead.
    """

    status: int
    text: str = ""
    fault: str = ""
    skew_seconds: float | None = None
    json: Any = None


@dataclass(frozen=True, slots=True)
class RecordingBacklog:
    """Recordings on this machine that are not uploaded to the bucket yet."""

    files: int
    size_bytes: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The output of `python -m storage.facts`; `fault` is the reason if there is none."""

    fault: str = ""
    version: int = 0  # server_version_num: 170002 is 17.2
    encoding: str = ""
    settings: dict[str, str] | None = None
    is_standby: bool = False
    missing_roles: Sequence[str] = ()
    #: Extensions that migrations create, and the server does not have.
    missing_extensions: Sequence[str] = ()
    unapplied: Sequence[str] = ()
    is_newer: bool = False
    skew_seconds: float = 0.0
    #: Numbers that organizations have; at most `MOST_NUMBERS` of storage.facts.
    numbers: Sequence[str] = ()
    #: The numbers among them that no agent answers.
    silent: Sequence[str] = ()
    #: Of each linked media process: `refuses` (the reason why it takes no calls; empty if it does), `zone`, `version`,
    #: `places`.  None if the schema is of another release.
    media: Sequence[Mapping[str, Any]] | None = None
    #: The latest call: `seconds_ago`, `status`, `reason`.
    last_call: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The certificate that planes show each other.  `fault` is the reason if it can't be used, as a sentence."""

    fault: str = ""
    names: Sequence[str] = ()
    days_left: float = 0.0


@dataclass(frozen=True, slots=True)
class NumberWebhooks:
    """A number at the carrier, with the URLs for its calls and their status."""

    e164: str
    voice_url: str
    status_url: str


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The output of `python -m media.facts` about the core and BLAS; `fault` is the reason if there is none."""

    fault: str = ""
    compiled: bool = False
    interpreted: bool = False  # by HUM_MEDIA_INTERPRETED
    blas: str = ""
    blas_threads: int = 0
