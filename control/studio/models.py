"""The models that a flow may name, with what they do and what was measured of each on the organization's calls."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from control.flows.choices import Choices
from control.usage import meters
from control.usage.pricetable import Prices
from hum import cascades
from hum.v1 import studio_pb2 as pb
from hum.v1 import usage_pb2
from storage import callmodels
from storage.callmodels import ModelFigures
from storage.db import Tx

#: The age of the oldest calls that are measured.
MEASURED = timedelta(days=30)
#: What models use on a call.
METERS = (
    meters.AUDIO_IN,
    meters.TEXT_IN,
    meters.AUDIO_OUT,
    meters.TEXT_OUT,
    meters.CACHED_AUDIO_IN,
    meters.CACHED_TEXT_IN,
    meters.TRANSCRIPTION_MS,
    meters.SPEECH_MS,
    meters.SESSION_MS,
)
#: The decimals of a minute's cost; tenths of a cent matter.
CENTS = Decimal("0.0001")
_NOT_MEASURED = ModelFigures(0, None, None)


async def offered(tx: Tx, choices: Choices, prices: Prices, at: datetime) -> list[pb.FlowModel]:
    """Return all models, the default first."""
    measured = await callmodels.figures(tx, at - MEASURED, METERS)
    return [
        _model(choices, name, measured.get(name, _NOT_MEASURED), prices, at) for name in dict.fromkeys(choices.models)
    ]


def _model(choices: Choices, name: str, figures: ModelFigures, prices: Prices, at: datetime) -> pb.FlowModel:
    model = pb.FlowModel(
        name=name,
        kind=_kind(choices, name),
        is_default=name == choices.models[0],
        languages=_languages(choices, name),
        calls=figures.calls,
    )
    if figures.first_sound_ms is not None:
        model.first_sound_p50_ms, model.first_sound_p95_ms = figures.first_sound_ms
    cost = figures.minute_cost or prices.estimate(meters.SESSION_MS, name, meters.MINUTE_MS, at.date())
    if cost is not None:
        amount, currency = cost
        model.minute_cost.CopyFrom(usage_pb2.UsageCost(currency=currency, amount=f"{amount.quantize(CENTS):f}"))
    return model


def _kind(choices: Choices, name: str) -> pb.ModelKind.ValueType:
    if name in choices.live_models:
        return pb.MODEL_KIND_LIVE
    return pb.MODEL_KIND_REALTIME if cascades.name_of(name) is None else pb.MODEL_KIND_CASCADE


def _languages(choices: Choices, name: str) -> Iterable[str]:
    cascade = choices.cascades.get(cascades.name_of(name) or "")
    return cascade.languages if cascade is not None else ()
