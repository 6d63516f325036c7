"""Usage: entries of what calls, texts and the model used, their cost, and their roll-ups, kept by a reader of the events."""

from control.feature import Deps, Feature, Reader
from control.usage.prices import load
from control.usage.rules import BadPrices
from control.usage.servicer import UsageServicer
from control.usage.usecases import CHANGES, count
from hum.refusal import refuse
from hum.settings import ControlSettings
from hum.v1 import usage_pb2
from storage import usage
from storage.events import Start


def feature(settings: ControlSettings, _: Deps) -> Feature:
    try:
        prices = load(settings.prices)
    except BadPrices as error:
        refuse(f"HUM_PRICES: {settings.prices} {error}")
    return Feature(
        services={usage_pb2.DESCRIPTOR.services_by_name["UsageService"]: UsageServicer()},
        readers=[
            Reader(
                usage.READER,
                Start.BEGINNING,
                CHANGES,
                lambda tx, changed: count(tx, prices, changed),
                settings.roll_up_seconds,
                takes_emptied=True,
            )
        ],
    )
