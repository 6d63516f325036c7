"""Whichever word comes first: who is out, who is blocked, and by which word, follows from their times alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as some

from control.optouts import lastword
from control.optouts.lastword import NOTHING, ConsentWord, Standing
from tests.support.examples import examples

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return BEGAN + timedelta(minutes=minute)


def heard(*words: ConsentWord) -> Standing:
    standing = NOTHING
    for word in words:
        standing = lastword.hear(standing, word)
    return standing


def stop(minute: int, source: str = "keyword", carrier: bool | None = True) -> ConsentWord:
    return ConsentWord(at(minute), True, source, "STOP", carrier_blocks=carrier)


def start(minute: int, source: str = "keyword", carrier: bool | None = False) -> ConsentWord:
    return ConsentWord(at(minute), False, source, "START", carrier_blocks=carrier)


def test_a_start_that_overtakes_its_stop() -> None:
    standing = heard(start(2), stop(1))
    assert (standing.is_out, standing.carrier_blocks, standing.was_ever_out) == (False, False, True)
    standing = heard(stop(2), start(1))
    assert (standing.is_out, standing.carrier_blocks, standing.was_ever_out) == (True, True, True)


def test_who_only_ever_said_start_was_never_out() -> None:
    assert heard(start(1)).was_ever_out is heard(start(1)).is_out is False


def test_at_the_same_time_the_opt_out_stands() -> None:
    for words in ((stop(1), start(1)), (start(1), stop(1))):
        standing = heard(*words)
        assert (standing.is_out, standing.carrier_blocks) == (True, True)


def test_a_repetition_keeps_the_evidence_and_outdates_what_came_before_it() -> None:
    standing = heard(stop(1), stop(5, "carrier"))
    assert standing.first == stop(1) and standing.last == stop(5, "carrier")
    assert heard(stop(1), stop(5), start(3)).is_out
    assert not heard(stop(1), stop(5), start(6)).is_out


def test_the_evidence_is_of_after_the_last_word_to_the_contrary() -> None:
    assert heard(stop(1), stop(5, "human", None), start(3)).first == stop(5, "human", None)
    assert heard(start(0), stop(5), stop(2)).first == stop(2), "the earlier of two that stand, delivered last"
    assert heard(start(3), stop(5), stop(2)).first == stop(5)


def test_only_the_handset_lifts_the_carriers_block() -> None:
    by_person = ConsentWord(at(2), False, "human")
    standing = heard(stop(1), by_person)
    assert (standing.is_out, standing.carrier_blocks) == (False, True)
    assert not heard(stop(1), by_person, start(3)).carrier_blocks
    refused = ConsentWord(at(2), True, "carrier", carrier_blocks=True)
    assert heard(start(3), refused).carrier_blocks is False, "a refusal of before START"
    assert heard(start(1), refused).carrier_blocks and heard(start(1), refused).is_out
    # The person's change is the last word on consent, and says nothing of the carrier.
    assert heard(ConsentWord(at(4), False, "human"), refused) == heard(refused, ConsentWord(at(4), False, "human"))
    assert heard(ConsentWord(at(4), False, "human"), refused).carrier_blocks


WORDS = some.lists(
    some.builds(
        lambda minute, is_out, source: ConsentWord(
            at(minute), is_out, source, carrier_blocks=is_out if source in {"keyword", "carrier"} else None
        ),
        some.integers(0, 6),
        some.booleans(),
        some.sampled_from(["keyword", "carrier", "api", "human", "agent"]),
    ),
    max_size=8,
)


@settings(max_examples=examples(5000))
@given(WORDS, some.randoms())
def test_every_order_ends_as_the_order_of_time(words: list[ConsentWord], random: object) -> None:
    in_time = sorted(words, key=lambda word: (word.at, word.is_out))
    mixed = list(words)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    standing = heard(*mixed)
    ordered = heard(*in_time)
    is_out = in_time[-1].is_out if in_time else False
    carriers = [word.carrier_blocks for word in in_time if word.carrier_blocks is not None]
    for each in (standing, ordered):
        assert each.is_out is is_out
        assert each.was_ever_out is any(word.is_out for word in words)
        assert each.carrier_blocks is (carriers[-1] if carriers else False)
        if in_time:
            # Its words are of this kind, and of after all that say the contrary.
            assert each.first in words and each.last in words
            assert each.first.is_out is each.last.is_out is is_out
            assert each.last.at == in_time[-1].at
            opposed = [(word.at, word.is_out) for word in words if word.is_out is not is_out]
            assert all((each.first.at, is_out) > other for other in opposed)
            assert each.opposed_at == (max(opposed)[0] if opposed else None)
