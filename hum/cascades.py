"""Cascades as data: named chains of speech recognition, language model and speech synthesis, each with its fallbacks.  Pure.

    [[cascades.clinic.ears]]
    url = "https://api.example.com/v1"
    model = "whisper-large-v3-turbo"
    key = "EXAMPLE_API_KEY"

    [[cascades.clinic.mind]]
    url = "http://10.0.0.5:8000/v1"
    model = "qwen3-8b"
    extra = { reasoning_effort = "none" }

    [[cascades.clinic.mouth]]
    url = "http://10.0.0.5:8880/v1"
    model = "kokoro"
    voice = { en = "af_heart", es = "ef_dora" }

A second table of the same stage is its fallback.  A flow's model `cascade:clinic` names this one.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from hum.network import base_url

#: The beginning of a flow's model that names a cascade.
PREFIX = "cascade:"
MOST_CASCADES, MOST_STAGES = 50, 5
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PATH = re.compile(r"(?P<problem>.*) - at (?:`key` in )?`\$(?P<path>.*)`", re.DOTALL)

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Variable = Annotated[str, msgspec.Meta(pattern=r"^([A-Z][A-Z0-9_]{0,99})?$")]
_Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}$")]
_Voices = Annotated[dict[_Language, _Name], msgspec.Meta(min_length=1, max_length=50)]
_Ms = Annotated[int, msgspec.Meta(ge=100, le=10_000)]
_Ears = Annotated[tuple["EarsStage", ...], msgspec.Meta(min_length=1, max_length=MOST_STAGES)]
_Minds = Annotated[tuple["MindStage", ...], msgspec.Meta(min_length=1, max_length=MOST_STAGES)]
_Mouths = Annotated[tuple["MouthStage", ...], msgspec.Meta(min_length=1, max_length=MOST_STAGES)]


class BadCascades(ValueError):  # noqa: N818 - it says what they are
    """The file can't be used; the message says where and why."""


class StageEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server with OpenAI's API, and one of its models; `key` is the name of the variable that has its key."""

    url: str
    model: _Name
    key: _Variable = ""

    def __post_init__(self) -> None:
        if "@" in urlsplit(base_url(self.url, "http", "https")).netloc:
            raise ValueError("`url` has a password; name a variable with it in `key`")
        if self.key.startswith("HUM_"):
            raise ValueError("`key` names a variable of HUM; name one of the provider's")


class EarsStage(StageEndpoint, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server with `/audio/transcriptions`; `prompt` are words that it should expect."""

    prompt: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class MindStage(StageEndpoint, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server with `/chat/completions`; `extra` are further fields of each request.

    `tells_usage`: the server is asked how many tokens an answer used; some refuse the question.
    """

    extra: Mapping[str, str | int | float | bool] = {}
    tells_usage: bool = True


class MouthStage(StageEndpoint, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server with `/audio/speech`; `rate` is the rate in Hz of what it calls `pcm`.

    `voice` speaks all languages, or there is one for each language by its code of two letters, and it speaks no other.
    """

    voice: _Name | _Voices
    rate: Annotated[int, msgspec.Meta(ge=8_000, le=48_000)] = 24_000

    def voice_for(self, language: str) -> str | None:
        """Return its voice for a language such as `en`, or empty for any; None if it does not speak it."""
        if isinstance(self.voice, str):
            return self.voice
        return self.voice.get(language) if language else next(iter(self.voice.values()))


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Milliseconds of silence that end a turn, by the flow's eagerness."""

    low: _Ms = 2_000
    medium: _Ms = 1_200
    high: _Ms = 600


class TurnRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How turns end: `tool_ms` is the silence that a tool waits for."""

    silence_ms: Silence = Silence()
    tool_ms: _Ms = 600


class Cascade(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cascade; the first of each stage is used, the others in order when it fails."""

    ears: _Ears
    mind: _Minds
    mouth: _Mouths
    turn: TurnRules = TurnRules()

    @property
    def variables(self) -> frozenset[str]:
        """The variables that have its keys."""
        return frozenset(stage.key for stage in (*self.ears, *self.mind, *self.mouth) if stage.key)

    def speaks(self, language: str) -> bool:
        """Tell whether it has a voice for a language tag such as `es-MX`."""
        return any(stage.voice_for(primary(language)) for stage in self.mouth)

    @property
    def languages(self) -> Sequence[str]:
        """The languages that it has voices for, if there are others that it has none for."""
        return sorted({each for stage in self.mouth if not isinstance(stage.voice, str) for each in stage.voice})


Cascades = Mapping[str, Cascade]


def parse(text: str) -> Cascades:
    """Parse a file of cascades; return them by name.  Raises BadCascades."""
    try:
        content: dict[str, Any] = tomllib.loads(text)
    # Not chained: the message has the line, and the parser's own text may repeat the file's.
    except tomllib.TOMLDecodeError as error:
        raise BadCascades(str(error)) from None
    tables = content.pop("cascades", None)
    if content:
        raise BadCascades(f"{next(iter(content))[:100]}: the file has `cascades` alone")
    if not isinstance(tables, dict) or not 0 < len(tables) <= MOST_CASCADES:
        raise BadCascades(f"cascades: there must be 1 to {MOST_CASCADES} tables, such as [[cascades.clinic.ears]]")
    return {name: _cascade(name, table) for name, table in tables.items()}


def _cascade(name: str, table: object) -> Cascade:
    where = f"cascades.{name[:100]}"
    if not _NAME.fullmatch(name):
        raise BadCascades(f"{where}: a name has up to 40 lower-case letters, digits, hyphens and underscores")
    try:
        return msgspec.convert(table, Cascade)
    except msgspec.ValidationError as error:
        match = _PATH.fullmatch(str(error))
        path, problem = (match["path"], match["problem"]) if match else ("", str(error))
    raise BadCascades(f"{where}{path}: {problem}")


def models(cascades: Cascades) -> tuple[str, ...]:
    """Return what a flow's `model` may be to name each of them."""
    return tuple(f"{PREFIX}{name}" for name in cascades)


def primary(language: str) -> str:
    """Return the language of a tag: `es` of `es-MX`."""
    return language.partition("-")[0].lower()


def name_of(model: str) -> str | None:
    """Return the name of the cascade that a flow's `model` names; None if it names none."""
    return model.removeprefix(PREFIX) if model.startswith(PREFIX) else None
