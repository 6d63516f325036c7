"""The voices and models that a flow may name.  Each is a setting, for a model's endpoint may have others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hum.errors import FieldError
from hum.settings import Model
from hum.telemetry import log
from hum.v1 import flows_pb2 as pb

LOG = log(__name__)


@dataclass(frozen=True, slots=True)
class Choices:
    """The first of each is what a flow without one gets."""

    voices: tuple[str, ...]
    models: tuple[str, ...]

    @classmethod
    def of(cls, settings: Model) -> "Choices":
        return cls(
            (settings.default_voice, *settings.other_voices), (settings.realtime_model, *settings.other_realtime_models)
        )

    def problems(self, flow: pb.Flow, before: pb.Flow) -> Iterator[FieldError]:
        """What is wrong with the voice and the model, where they differ from what they were."""
        if flow.voice != before.voice and flow.voice and flow.voice not in self.voices:
            yield FieldError("flow.voice", _must_be(self.voices))
        if flow.model != before.model and flow.model and flow.model not in self.models:
            yield FieldError("flow.model", _must_be(self.models))

    def voice(self, definition: Mapping[str, Any]) -> str:
        """The voice of a stored flow."""
        return _chosen("voice", self.voices, definition)

    def model(self, definition: Mapping[str, Any]) -> str:
        """The realtime model of a stored flow."""
        return _chosen("model", self.models, definition)


def _chosen(field: str, known: tuple[str, ...], definition: Mapping[str, Any]) -> str:
    wish = str(definition.get(field) or known[0])
    if wish in known:
        return wish
    LOG.warning("a stored value is not used: it is no longer a choice", field=field, value=wish[:100])
    return known[0]


def _must_be(known: tuple[str, ...]) -> str:
    return f"must be one of {', '.join(dict.fromkeys(known))}"
