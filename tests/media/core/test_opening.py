"""What opens a call is heard whole, however early the caller speaks: a greeting, and an announcement before it."""

from collections.abc import Callable, Mapping

import pytest

from media.core.modelmessages import TurnModel
from media.core.plans import CallPlan, Prompt, PromptKind
from media.core.prompts import OPENING_ATTEMPTS
from media.core.responses import LONGEST_HELLO_MS
from media.core.session import OPENED_LATE
from media.core.types import AnnouncementPlayed, BargedIn, TurnEnded
from tests.support.examples import sample
from tests.support.plans import call_plan, changed
from tests.support.simulation import Phone

BARE = call_plan("Be kind.", TurnModel("gpt-realtime", "marin", "whisper"))
GREETING = Prompt("Hello and welcome to the clinic", bytes(range(1, 251)) * 64)  # 2 s
SHORT = Prompt("Hello", bytes(range(3, 203)) * 34)  # 0.85 s
ANNOUNCEMENT = Prompt("This call is recorded", bytes(range(2, 242)) * 40)  # 1.2 s
DELAY_MS = 40


def greets(greeting: Prompt = GREETING, **changes: object) -> CallPlan:
    return changed(BARE, prompts={PromptKind.GREETING: greeting}, **changes)


def turns(phone: Phone) -> list[tuple[str, str]]:
    """Return the roles and the heard words of the turns."""
    return [(turn.role, turn.heard_text) for turn in phone.told(TurnEnded)]


def notes(phone: Phone) -> list[str]:
    """Return what the model was told without anybody saying it."""
    messages = [event["item"] for event in phone.model.received if event["type"] == "conversation.item.create"]
    return [item["content"][0]["text"] for item in messages if item.get("role") == "system"]


def asked(phone: Phone) -> int:
    return phone.model.types().count("response.create")


@pytest.mark.sampled
@pytest.mark.parametrize("ms", sample([60, 300, 600, 900, 1_100], 3))
@pytest.mark.parametrize("after_ms", [0, 100, 240])
@pytest.mark.parametrize("greeting", [SHORT, GREETING])
@pytest.mark.parametrize("opens", [False, True])
def test_a_greeting_is_heard_whole_by_a_caller_who_says_hello_over_its_beginning(
    make_phone: Callable[..., Phone], ms: int, after_ms: int, greeting: Prompt, opens: bool
) -> None:
    phone = make_phone(greets(greeting, opens=opens), DELAY_MS)
    phone.after(after_ms)
    phone.speak(ms)
    phone.after(9_000)
    assert greeting.audio and phone.carrier.heard(phone.world.now).endswith(greeting.audio[-8_000:])
    assert ("agent", greeting.text) in turns(phone)
    assert [words for role, words in turns(phone) if role == "agent"] == [greeting.text], "the greeting answers a hello"
    assert asked(phone) == 0 and phone.told(BargedIn) == []
    # The model knows that it has greeted.
    said = [event for event in phone.model.received if event["type"] == "conversation.item.create"]
    assert any(greeting.text in str(event) for event in said)
    assert phone.model.violations == []


def test_a_greeting_that_was_cut_is_said_again_from_its_beginning_once_the_caller_has_finished(
    make_phone: Callable[..., Phone],
) -> None:
    phone = make_phone(greets(), DELAY_MS)
    phone.speak(1_000)
    phone.after(9_000)
    *_, (began_ms, audio) = phone.carrier.played
    assert audio == GREETING.audio
    assert began_ms > 1_000 + 1_000  # the world begins at 1,000


def test_words_longer_than_a_hello_are_answered_after_the_greeting(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(greets(), DELAY_MS, answer_ms=1_000)
    phone.speak(round(LONGEST_HELLO_MS) + 700)
    phone.after(12_000)
    assert [role for role, _ in turns(phone)] == ["caller", "agent", "agent"]
    assert turns(phone)[1] == ("agent", GREETING.text)
    assert asked(phone) == 1 and notes(phone) == [OPENED_LATE]


def test_a_turn_after_the_greeting_is_answered_without_a_note(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(greets(), DELAY_MS, answer_ms=1_000)
    phone.speak(600)
    phone.after(6_000)
    phone.speak(1_900, seed=5)
    phone.after(6_000)
    assert [role for role, _ in turns(phone)] == ["caller", "agent", "caller", "agent"]
    assert asked(phone) == 1 and notes(phone) == []


def test_a_cough_over_the_beginning_repeats_nothing(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(greets(), DELAY_MS, deaf=True)
    phone.speak(160)
    phone.after(6_000)
    assert phone.carrier.heard(phone.world.now) == GREETING.audio
    assert turns(phone) == [("agent", GREETING.text)]


def test_an_interruption_in_the_middle_of_the_greeting_ends_it(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(greets(), DELAY_MS, answer_ms=1_000)
    phone.after(1_200)
    phone.speak(900)
    phone.after(9_000)
    roles = [role for role, _ in turns(phone)]
    assert roles == ["agent", "caller", "agent"]
    assert GREETING.text.startswith(turns(phone)[0][1]) and turns(phone)[0][1] != GREETING.text
    assert [overlap.verdict for overlap in phone.told(BargedIn)] == ["cut"]


def opening(protect: bool) -> CallPlan:
    prompts: Mapping[PromptKind, Prompt] = {PromptKind.ANNOUNCEMENT: ANNOUNCEMENT, PromptKind.GREETING: GREETING}
    return changed(BARE, prompts=prompts, announce_recording=True, recording=True, protect_announcement=protect)


@pytest.mark.parametrize("protect", [False, True])
@pytest.mark.parametrize("ms", [300, 900, 2_000])
def test_an_announcement_and_the_greeting_behind_it_are_heard_whole(
    make_phone: Callable[..., Phone], protect: bool, ms: int
) -> None:
    phone = make_phone(opening(protect), DELAY_MS, answer_ms=1_000)
    phone.speak(ms)
    phone.after(14_000)
    words = [words for role, words in turns(phone) if role == "agent"]
    assert words[:2] == [ANNOUNCEMENT.text, GREETING.text]
    assert len(phone.told(AnnouncementPlayed)) == 1
    heard = phone.carrier.heard(phone.world.now)
    assert ANNOUNCEMENT.audio and GREETING.audio and heard.count(GREETING.audio) == 1


def test_a_greeting_without_audio_is_said_again_by_the_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(greets(Prompt(GREETING.text)), DELAY_MS, answer_ms=2_000)
    while not phone.carrier.played:
        phone.after(1)
    phone.after(60)
    phone.speak(900)
    phone.after(9_000)
    requests = [event["response"] for event in phone.model.received if event["type"] == "response.create"]
    assert len(requests) == 2 and all(GREETING.text in request["instructions"] for request in requests)
    assert [role for role, _ in turns(phone)] == ["caller", "agent"]
    assert phone.told(BargedIn) == []


def test_the_last_attempt_is_not_interrupted(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(greets(), DELAY_MS, answer_ms=1_000)
    for attempt in range(OPENING_ATTEMPTS):
        count = len(phone.carrier.played)
        while len(phone.carrier.played) == count:
            phone.after(1)
        phone.speak(800, seed=attempt)
        phone.after(300)
    phone.after(9_000)
    heard = phone.carrier.heard(phone.world.now)
    assert GREETING.audio and heard.count(GREETING.audio) == 1
    assert ("agent", GREETING.text) in turns(phone)
