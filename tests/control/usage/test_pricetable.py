"""What things cost by the price table, and how changes are added up."""

import random
import tomllib
from collections import Counter
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.clients.twilio_texts import price
from control.usage import meters, present, pricetable
from control.usage.meters import Worth
from control.usage.pricefiles import load
from control.usage.pricetable import BadPrices, Prices
from hum.settings import ControlSettings
from hum.v1 import usage_pb2 as pb
from storage.usage import LineRow

DAY = date(2026, 3, 5)
MODEL = '[[prices]]\nof = "m"\nfrom = 2026-01-01\ncurrency = "USD"\ntext_tokens_in = "2.5"\n'


def test_the_packages_table_prices_what_is_set_by_default() -> None:
    prices, settings = load(""), ControlSettings()
    for meter, item in (
        (meters.AUDIO_OUT, settings.realtime_model),
        (meters.CACHED_AUDIO_IN, settings.realtime_model),
        (meters.CACHED_TEXT_IN, settings.text_model),
        (meters.TEXT_OUT, settings.text_model),
        (meters.TEXT_IN, settings.embedding_model),
        (meters.SPEECH_MS, settings.speech_model),
        (meters.AUDIO_IN, settings.transcribe_model),
        (meters.STREAM_SECONDS, pricetable.ANYTHING),
        (meters.LOOKUPS, "caller_name"),
        (meters.INBOUND_SECONDS, "US toll free"),
        (meters.OUTBOUND_SECONDS, "US toll free"),
        (meters.SEGMENTS_SENT, "CA"),
    ):
        assert prices.of(meter, item, DAY) is not None, (meter, item)


def test_units_are_those_of_the_providers() -> None:
    prices = load("")
    assert prices.estimate(meters.AUDIO_OUT, "gpt-realtime-2.1", 1_000_000, DAY) == (Decimal(64), "USD")
    assert prices.estimate(meters.AUDIO_OUT, "gpt-realtime-2.1", 1, DAY) == (Decimal("0.000064"), "USD")
    assert prices.estimate(meters.INBOUND_SECONDS, "US", 61, DAY) == (Decimal("0.0170"), "USD")  # begun minutes
    assert prices.estimate(meters.SPEECH_MS, "gpt-4o-mini-tts", 30_000, DAY) == (Decimal("0.0075"), "USD")
    assert prices.estimate(meters.SEGMENTS_SENT, "US", 3, DAY) == (Decimal("0.0249"), "USD")


def test_each_price_of_the_packages_table_says_where_it_is_from() -> None:
    rows = tomllib.loads(files("control.usage").joinpath("prices.toml").read_text("utf-8"))["prices"]
    assert rows and all(each["source"].startswith("https://") for each in rows)
    (price,) = pricetable.read(MODEL + 'source = "https://prices.example/"\n')
    assert (price.meter, price.item) == (meters.TEXT_IN, "m")


def test_the_carriers_streams_became_dearer() -> None:
    prices = load("")
    assert prices.estimate(meters.STREAM_SECONDS, pricetable.ANYTHING, 61, date(2026, 7, 31)) == (
        Decimal("0.0080"),
        "USD",
    )
    assert prices.estimate(meters.STREAM_SECONDS, pricetable.ANYTHING, 61, date(2026, 8, 1)) == (
        Decimal("0.0088"),
        "USD",
    )


def test_what_has_no_price_has_no_estimate() -> None:
    prices = load("")
    assert prices.estimate(meters.TEXT_IN, "a-new-model", 10, DAY) is None
    assert prices.estimate(meters.TEXT_IN, "gpt-5.4-nano", 10, DAY) is None, "it is not gpt-5.4"
    assert prices.estimate(meters.SEGMENTS_SENT, "DE mobile", 1, DAY) is None
    assert prices.estimate(meters.TEXT_IN, "gpt-5.4-mini", 10, date(2020, 1, 1)) is None, "nor before its first day"
    assert prices.estimate(meters.TEXT_IN, "gpt-5.4-mini-2026-03-17", 10, DAY) is not None, (
        "a snapshot costs what its model does"
    )


def test_a_price_holds_from_its_day_and_the_operators_goes_first(tmp_path: Path) -> None:
    later = MODEL.replace("2026-01-01", "2026-03-05").replace("2.5", "5")
    operators = tmp_path / "prices.toml"
    operators.write_text(MODEL.replace('"m"', '"gpt-5.4-mini"').replace("USD", "EUR"))
    prices = Prices(pricetable.read(MODEL + later))
    assert [prices.of(meters.TEXT_IN, "m", DAY.replace(day=day)).amount for day in (4, 5, 6)] == [  # type: ignore[union-attr]
        Decimal("2.5"), Decimal(5), Decimal(5),
    ]  # fmt: skip
    own = load(str(operators))
    assert own.estimate(meters.TEXT_IN, "gpt-5.4-mini", 1_000_000, DAY) == (Decimal("2.5"), "EUR")
    assert own.estimate(meters.TEXT_OUT, "gpt-5.4-mini", 1_000_000, DAY) == (Decimal("4.5"), "USD"), "the package's"
    assert own.estimate(meters.TEXT_IN, "gpt-5.4-mini", 1_000_000, date(2025, 6, 1)) == (Decimal("0.75"), "USD")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[prices]", "is not TOML"),
        ("[[price]]\n", "nothing but"),
        (MODEL.replace('"m"', "5"), "`of` must name"),
        (MODEL.replace("2026-01-01", '"2026-01-01"'), "must be a day"),
        (MODEL.replace("2026-01-01", "2026-01-01T00:00:00"), "must be a day"),
        (MODEL.replace("USD", "usd"), "three letters"),
        (MODEL.replace("text_tokens_in", "tokens"), "no meter tokens"),
        *((MODEL.replace('"2.5"', wrong), "amount in quotes") for wrong in ("2.5", '"-1"', '"NaN"', '"1e-13"', '"x"')),
    ],
)
def test_a_wrong_table_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(BadPrices, match=complaint):
        pricetable.read(text)


def test_a_file_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadPrices, match="can't be read"):
        load(str(tmp_path / "none.toml"))


def test_every_meter_of_the_contract_can_be_priced() -> None:
    assert len(meters.METERS) == len(pb.UsageMeter.keys()) - 1
    assert meters.METERS >= set(meters.PER) and not meters.METERS & meters.COUNTS
    assert "prices" in files("control.usage").joinpath("prices.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+13175550100", "US"),
        ("+18005550100", "US toll free"),
        ("+14165550100", "CA"),
        ("+4915123456789", "DE mobile"),
        ("+493012345678", "DE"),
        ("anonymous", "unknown"),
        ("", "unknown"),
        ("+88312345678", "unknown"),
    ],
)
def test_a_country_says_nothing_more_of_a_number(number: str, country: str) -> None:
    assert pricetable.country(number) == country


@pytest.mark.parametrize(
    ("amount", "currency", "read"),
    [
        ("-0.00750", "USD", (Decimal("0.00750"), "USD")),
        ("0.0075", "usd", (Decimal("0.0075"), "USD")),
        (None, "USD", None),
        ("free", "USD", None),
        ("NaN", "USD", None),
        ("-1", None, None),
    ],
)
def test_the_carriers_price_may_be_missing(amount: object, currency: object, read: object) -> None:
    assert price(amount, currency) == read


WORTHS = st.builds(
    Worth,
    st.integers(1, 1000),
    st.decimals(0, 100, places=4),
    st.sampled_from(["USD", "EUR"]),
    st.sampled_from(["estimate", "carrier"]),
) | st.builds(Worth, st.integers(1, 1000), st.just(Decimal(0)), st.just(""), st.just("none"))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), WORTHS), max_size=30),
    st.randoms(use_true_random=False),
)
def test_changes_add_up_to_the_last_state(history: list[tuple[int, str, Worth]], chance: random.Random) -> None:
    """Entries become known better and better, in batches of any size, some of them twice."""
    now: dict[tuple[int, str], Worth] = {}
    counted: dict[tuple[int, str], Worth] = {}
    sums: Counter[tuple[str, str, str]] = Counter()
    costs: dict[tuple[str, str, str], Decimal] = {}
    for entry, key, worth in history:
        now[entry, key] = worth
        if chance.random() < 0.5:
            batch = [each for each in now if chance.random() < 0.7]
            for place, (quantity, cost) in meters.changes([(k[1], counted.get(k), now[k]) for k in batch]).items():
                sums[place] += quantity
                costs[place] = costs.get(place, Decimal(0)) + cost
            counted |= {each: now[each] for each in batch}
    for place, (quantity, cost) in meters.changes([(k[1], counted.get(k), now[k]) for k in now]).items():
        sums[place] += quantity
        costs[place] = costs.get(place, Decimal(0)) + cost
    truth: Counter[tuple[str, str, str]] = Counter()
    for (_, key), worth in now.items():
        truth[key, worth.basis, worth.currency] += worth.quantity
    assert +sums == truth
    assert sum(costs.values()) == sum(worth.cost for worth in now.values())


def test_what_is_shown_is_added_up_and_says_what_it_does_not_know() -> None:
    rows = [
        LineRow("segments_sent", "US", 2, Decimal("0.0166"), "USD", "estimate"),
        LineRow("segments_sent", "US", 1, Decimal("0.0083"), "USD", "estimate"),
        LineRow("text_tokens_in", "new", 5, Decimal(0), "", "none"),
        LineRow("messages_sent", "", 2, Decimal(0), "", "none"),
    ]
    shown = present.usage(rows)
    assert [(line.meter, line.quantity, line.HasField("cost")) for line in shown.lines] == [
        (pb.USAGE_METER_SEGMENTS_SENT, 3, True),
        (pb.USAGE_METER_TEXT_TOKENS_IN, 5, False),
    ]
    assert [(cost.currency, cost.amount) for cost in shown.costs] == [("USD", "0.0249")]
    assert not shown.is_priced and present.usage(rows[:2]).is_priced
