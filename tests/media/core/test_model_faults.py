"""Whatever the model does, the caller is answered, or hears why not, in a time that is bounded: in virtual time."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any, Literal

import pytest

from control.flows.flowchecks import clip_texts
from media.core.legmessages import HangUp
from media.core.modelmessages import MAX_ANSWER_AUDIO_BYTES, MAX_TEXT_CHARS, TurnModel
from media.core.plans import Prompt, PromptKind
from media.core.reconnectbudget import ReconnectBudget
from media.core.responses import REFUSALS
from media.core.session import BROKE_OFF
from media.core.turnside import TurnSide
from media.core.types import DialModel, ModelLost, TurnEnded
from tests.support.examples import sample
from tests.support.plans import MODEL, call_plan, changed
from tests.support.simulation import Phone

HOLD, SORRY = bytes(range(1, 101)) * 80, bytes(range(101, 201)) * 80  # 1 s each
GREETING = bytes(range(1, 251)) * 32  # 1 s
PLAN = call_plan(
    "Be kind.",
    TurnModel("gpt-realtime", "marin", "whisper"),
    prompts={
        PromptKind.GREETING: Prompt("Hello and welcome", GREETING),
        PromptKind.HOLD: Prompt("One moment please", HOLD),
        PromptKind.APOLOGY: Prompt("Sorry, please call again", SORRY),
        PromptKind.GOODBYE: Prompt("Goodbye", bytes(800)),
    },
)
BARE = changed(PLAN, prompts={})


def losses(phone: Phone) -> list[str]:
    return [each.reason for each in phone.told(ModelLost)]


def dials(phone: Phone) -> list[float]:
    return [when for when, action in phone.actions if isinstance(action, DialModel)]


def heard(phone: Phone) -> bytes:
    return phone.carrier.heard(phone.world.now)


def until_hung_up(phone: Phone, most_ms: int) -> float:
    """How long it takes until the call ends."""
    began = phone.world.now
    while phone.hung_up is None:
        phone.after(100)
        assert phone.world.now - began < most_ms, losses(phone)
    return phone.world.now - began


def silences(phone: Phone) -> list[float]:
    """How long the caller heard nothing, each time, since the first sound."""
    ends, gaps = None, []
    for begun, audio in phone.carrier.played:
        if ends is not None and begun - ends > 1:
            gaps.append(begun - ends)
        ends = begun + len(audio) / 8
    return gaps


# Away.


@pytest.mark.parametrize("away_ms", [1_000, 5_000])
def test_a_model_that_is_away_for_a_while_is_waited_for(make_phone: Callable[..., Phone], away_ms: int) -> None:
    phone = make_phone(PLAN)
    phone.fate = "refused"
    phone.after(away_ms)
    phone.fate = ""
    phone.speak(600)
    phone.after(8_000)
    assert phone.hung_up is None
    assert heard(phone).endswith(list(phone.model.items.values())[-1])
    assert phone.told(TurnEnded)[-1].role == "agent"


@pytest.mark.parametrize("fate", ["refused", "hangs", "mute", "closes"])
def test_a_model_that_stays_away_ends_the_call_with_hold_phrases_and_an_apology(
    make_phone: Callable[..., Phone], fate: Literal["refused", "hangs", "mute", "closes"]
) -> None:
    phone = make_phone(PLAN)
    phone.fate = fate
    lasted = until_hung_up(phone, 12_000)
    assert lasted > PLAN.patience.patience_ms
    assert isinstance(phone.hung_up, HangUp)
    assert phone.hung_up.reason == "model_lost"
    assert phone.hung_up.detail.startswith("there was no model for 8 s")
    assert heard(phone).startswith(GREETING + HOLD)
    assert heard(phone).endswith(SORRY)
    assert max(silences(phone)) <= 4_200
    assert silences(phone)[0] <= 2_200
    assert 2 <= len(dials(phone)) <= 20


@pytest.mark.parametrize(
    ("language", "announcement", "hold"),
    [
        ("de-AT", "Dieser Anruf wird möglicherweise aufgezeichnet.", "Einen Moment, bitte."),
        ("fr-CA", "Cet appel peut être enregistré.", "Un instant, s'il vous plaît."),
    ],
)
def test_the_announcement_and_the_hold_phrase_are_in_the_flows_language(
    make_phone: Callable[..., Phone], language: str, announcement: str, hold: str
) -> None:
    texts = dict(clip_texts({"language": language, "greeting": "?", "announce_recording": True}))
    spoken = {kind: Prompt(texts[kind], Random(texts[kind]).randbytes(8_000)) for kind in PromptKind if kind in texts}
    phone = make_phone(changed(PLAN, prompts=spoken, recording=True, announce_recording=True))
    phone.fate = "hangs"
    phone.after(2_500)
    phone.speak(600)
    phone.after(4_500)
    assert [turn.text for turn in phone.told(TurnEnded)] == [announcement, "?"]
    expected = [Random(text).randbytes(8_000) for text in (announcement, "?", hold)]
    assert heard(phone).startswith(b"".join(expected))


@pytest.mark.parametrize(
    ("kind", "end"),
    [("", "Bitte rufen Sie gleich noch einmal an. Auf Wiederhören."), ("FLOW_KIND_OUTBOUND", "Auf Wiederhören.")],
)
def test_the_apology_is_in_the_flows_language(make_phone: Callable[..., Phone], kind: str, end: str) -> None:
    apology = f"Es tut mir leid, bei uns ist ein Fehler aufgetreten. {end}"
    texts = dict(clip_texts({"language": "de-AT", "greeting": "?", "kind": kind}))
    spoken = {kind: Prompt(texts[kind], Random(texts[kind]).randbytes(8_000)) for kind in PromptKind if kind in texts}
    phone = make_phone(changed(PLAN, prompts=spoken))
    phone.fate = "refused"
    until_hung_up(phone, 12_000)
    assert heard(phone).endswith(Random(apology).randbytes(8_000))
    assert phone.told(TurnEnded)[-1].text == apology


def test_a_caller_who_asks_while_the_model_is_away_hears_the_hold_phrase_and_then_the_answer(
    make_phone: Callable[..., Phone],
) -> None:
    phone = make_phone(PLAN)
    phone.fate = "hangs"
    phone.after(1_500)
    phone.speak(600)
    phone.after(2_900)
    assert heard(phone) == GREETING + HOLD[: len(heard(phone)) - len(GREETING)] != GREETING
    phone.fate = ""
    phone.after(9_000)
    assert phone.hung_up is None
    said = [(turn.role, turn.text) for turn in phone.told(TurnEnded)]
    assert ("caller", "text of user_1") in said
    assert said[-1][0] == "agent"
    assert heard(phone).endswith(list(phone.model.items.values())[-1])
    assert phone.model.violations == []


def test_a_model_that_refuses_us_is_not_tried_again(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.carry(phone.talk.model_lost(phone.world.now, "x"))  # not started: nothing to lose
    phone.after(200)
    phone.carry(phone.talk.model_lost(phone.world.now, "model_refused"))
    assert until_hung_up(phone, 4_000)
    assert phone.hung_up == HangUp("model_refused")
    assert heard(phone) == GREETING + SORRY


def test_a_session_that_the_model_does_not_configure_is_refused(make_phone: Callable[..., Phone]) -> None:
    """It would go on in another format, which a caller hears as noise."""
    phone = make_phone(changed(BARE, model=replace(MODEL, voice="nobodys")))
    phone.after(3_000)
    assert isinstance(phone.hung_up, HangUp) and phone.hung_up.reason == "model_refused"
    assert "nobodys" in phone.hung_up.detail or "voice" in phone.hung_up.detail, phone.hung_up


def test_a_silent_caller_is_not_let_go_for_the_models_silence(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, idle_gaps_ms=(2_000,) * 3, patience_ms=20_000))
    phone.fate = "mute"
    until_hung_up(phone, 30_000)
    assert phone.hung_up is not None
    assert phone.hung_up.reason == "model_lost"


# Lost, again and again.


@pytest.mark.parametrize("after", [0, 5])
def test_a_model_that_dies_in_each_answer_is_given_up(make_phone: Callable[..., Phone], after: int) -> None:
    phone = make_phone(PLAN, delay=20)
    phone.after(2_000)
    phone.fate, phone.dies_after = "dies", after
    phone.speak(600)
    until_hung_up(phone, 25_000)
    assert phone.hung_up == HangUp("model_lost", "the model was lost 5 times within a minute: disconnected")
    assert len(losses(phone)) == 5
    assert len(dials(phone)) == 5
    assert heard(phone).endswith(SORRY)


def test_now_and_then_a_loss_is_borne_but_not_for_ever(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, losses_per_call=5, idle_gaps_ms=(10**9,) * 3), answer_ms=500)
    for lost in range(1, 7):
        assert phone.hung_up is None
        phone.after(20_000)
        phone.speak(600)
        phone.after(5_000)
        phone.lose()
        assert len(losses(phone)) == lost
    phone.after(1_000)
    assert phone.hung_up == HangUp("model_lost", "the model was lost 6 times in this call: disconnected")


def test_dials_come_ever_slower_and_fast_again_once_an_answer_was_complete() -> None:
    budget = ReconnectBudget(PLAN.patience)
    assert budget.wait_ms == 0
    waits = []
    for n in range(7):
        budget.lost(n * 100.0, confirmed=False)
        waits.append(budget.wait_ms)
    assert waits == [100, 200, 400, 800, 1_000, 1_000, 1_000]
    budget.end_outage()
    budget.response_complete()
    budget.lost(10_000, confirmed=True)
    assert budget.wait_ms == 100
    assert budget.exhausted(10_000 + PLAN.patience.patience_ms - 1) == ""
    assert budget.exhausted(10_000 + PLAN.patience.patience_ms) == "there was no model for 8 s"


# Silent.


@pytest.mark.parametrize("talks", [False, True])
def test_an_answer_that_does_not_begin_is_lost_by_its_own_clock(make_phone: Callable[..., Phone], talks: bool) -> None:
    phone = make_phone(PLAN)
    phone.after(2_000)
    phone.model.faults.never_respond = True
    phone.speak(600)
    phone.after(1_200)
    asked = next(m for m in phone.model.received if m["type"] == "response.create")
    assert asked
    began = phone.world.now
    while not losses(phone):
        if talks:
            phone.speak(700, seed=int(phone.world.now))
        phone.after(1_000)
        assert phone.world.now - began < PLAN.patience.answer_ms + 1_500, "who talks meanwhile makes no difference"
    assert losses(phone) == ["stalled"]
    assert phone.world.now - began > PLAN.patience.answer_ms - 1_500


def test_an_answer_that_stops_half_way_is_lost_too_and_goes_on(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=4_000)
    phone.after(1_000)
    phone.model.faults.stall_after_chunks, phone.model.faults.stall_ms = 10, 60_000
    phone.speak(600)
    phone.after(3_000)
    phone.model.faults.stall_after_chunks = None
    phone.after(15_000)
    assert losses(phone) == ["stalled"]
    agent = [turn for turn in phone.told(TurnEnded) if turn.role == "agent"]
    assert [len(turn.heard_text.split()) for turn in agent] == [10, 40]


def test_the_caller_of_a_slow_answer_hears_that_somebody_is_there(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.model.faults.first_delta_ms = 4_500
    phone.after(2_000)
    phone.speak(600)
    ended = phone.world.now + 600
    phone.after(12_000)
    begun = [begun for begun, _ in phone.carrier.played if begun > ended]
    assert 1_900 <= begun[0] - ended <= 2_400
    assert heard(phone) == GREETING + HOLD + list(phone.model.items.values())[-1]
    assert losses(phone) == []
    assert phone.model.violations == []


# Failing.


def fails(phone: Phone) -> None:
    """Each answer fails on the model's side."""
    voice: Any = phone.model.voice
    voice.utter = lambda *given: given[-1](RuntimeError("overloaded"))


def refuses(phone: Phone) -> None:
    """The model answers each request for an answer with an error."""
    handle = phone.model.out.deliver

    def deliver(payload: bytes) -> None:
        message = json.loads(payload)
        if message["type"] != "response.create":
            handle(payload)
            return
        phone.model.received.append(message)
        error = {"type": "server_error", "message": "overloaded", "event_id": message["event_id"]}
        phone.model.back.send(json.dumps({"type": "error", "event_id": "e", "error": error}).encode())

    phone.model.out.deliver = deliver


@pytest.mark.parametrize("fault", [fails, refuses])
def test_a_model_that_fails_in_each_answer_is_given_up_with_an_apology(
    make_phone: Callable[..., Phone], fault: Callable[[Phone], None]
) -> None:
    phone = make_phone(PLAN)
    phone.after(2_000)
    fault(phone)
    phone.speak(600)
    until_hung_up(phone, 25_000)
    assert phone.hung_up == HangUp("model_lost", "the model was lost 5 times within a minute: failing")
    assert losses(phone) == ["failing"] * 5
    waits = [action.wait_ms for _, action in phone.actions if isinstance(action, DialModel)]
    assert waits == [0, 100, 200, 400, 800]
    assert phone.model.types().count("response.create") == 5 * REFUSALS
    assert heard(phone).endswith(SORRY)
    assert max(silences(phone)) <= 4_200


def test_a_model_that_works_again_after_a_few_failures_answers(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(2_000)
    utter = phone.model.voice.utter
    fails(phone)
    phone.speak(600)
    while losses(phone) != ["failing"]:
        phone.after(20)
        assert phone.world.now < 15_000
    phone.model.voice.utter = utter  # type: ignore[method-assign]
    phone.after(6_000)
    assert (losses(phone), phone.hung_up) == (["failing"], None)
    assert heard(phone).endswith(list(phone.model.items.values())[-1]), "the answer is still owed"
    phone.speak(600)
    phone.after(6_000)
    assert [turn.role for turn in phone.told(TurnEnded)][-2:] == ["caller", "agent"]


# Too much.

AUDIO = base64.b64encode(bytes(10 << 20)).decode()


def event(type: str, **body: Any) -> bytes:
    return json.dumps({"type": type, "response_id": "r", "item_id": "i", **body}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        event("response.output_audio.delta", delta=AUDIO),
        event("response.output_audio_transcript.delta", delta="a" * (10 << 20)),
        event("response.output_audio_transcript.delta", delta="a" * (MAX_TEXT_CHARS + 1)),
        event("response.output_audio_transcript.done", transcript="a" * (MAX_TEXT_CHARS + 1)),
        event("conversation.item.input_audio_transcription.delta", delta="a" * (MAX_TEXT_CHARS + 1)),
        event("conversation.item.input_audio_transcription.completed", transcript="a" * (MAX_TEXT_CHARS + 1)),
    ],
    ids=lambda payload: f"{len(payload)} {payload[10:60]!r}",
)
def test_one_event_of_too_much_is_a_lost_model(make_phone: Callable[..., Phone], payload: bytes) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    phone.from_server(payload)
    assert losses(phone) == ["too_much"]
    phone.after(1_000)
    assert phone.model.open


def test_an_answer_without_an_end_is_a_lost_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    phone.speak(600)
    phone.after(1_500)
    delta = base64.b64encode(bytes(100_000)).decode()
    for _ in range(MAX_ANSWER_AUDIO_BYTES // 100_000 + 1):
        phone.from_server(event("response.output_audio.delta", delta=delta))
    assert losses(phone) == ["too_much"]


# What the next session knows.


def test_a_question_whose_words_never_came_is_heard_again(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, transcribe_ms=2_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(1_050)
    assert "response.create" in phone.model.types()
    phone.lose()
    phone.model.received.clear()
    phone.after(8_000)
    sent = [m["type"] for m in phone.model.received]
    assert sent.index("input_audio_buffer.append") < sent.index("response.create")
    assert sent.count("response.create") == 1
    assert [(turn.role, turn.text) for turn in phone.told(TurnEnded)] == [
        ("caller", "text of user_2"),
        ("agent", " ".join(f"word{n}" for n in range(30))),
    ]
    assert phone.model.violations == []


def test_a_question_that_has_its_answer_is_not_heard_again(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, transcript_deadline_ms=1_000), answer_ms=800)
    phone.after(1_000)
    phone.model.faults.never_transcribe = True
    phone.speak(600)
    phone.after(4_000)
    phone.lose()
    phone.after(6_000)
    assert phone.model.types().count("response.create") == 1
    assert [turn.role for turn in phone.told(TurnEnded)] == ["caller", "agent"]


def test_an_answer_that_broke_off_is_gone_on_with(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=6_000)
    phone.after(1_000)
    phone.speak(600)
    phone.after(2_500)
    phone.lose()
    phone.model.received.clear()
    phone.after(8_000)
    told = [m["item"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    assert [item["role"] for item in told] == ["user", "assistant", "system"]
    first = next(turn for turn in phone.told(TurnEnded) if turn.role == "agent")
    assert told[1]["content"][0]["text"].strip() == first.heard_text
    assert told[2]["content"][0]["text"] == BROKE_OFF
    order = [m["type"] for m in phone.model.received if m["type"] != "input_audio_buffer.append"]
    assert order.index("response.create") > max(n for n, type in enumerate(order) if type.endswith("item.create"))
    assert phone.model.violations == []


def test_an_answer_that_fails_in_the_middle_is_gone_on_with(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.model.faults.stall_after_chunks, phone.model.faults.stall_ms = 10, 60_000
    phone.after(1_000)
    phone.speak(600)
    phone.after(3_000)
    phone.model.received.clear()
    assert isinstance(phone.talk._model, TurnSide)
    failed: dict[str, Any] = {"id": phone.talk._model.responses.response_id, "status": "failed", "output": []}
    phone.from_server(json.dumps({"type": "response.done", "response": failed}).encode())
    phone.after(500)
    sent = [each for each in phone.model.received if each["type"] != "input_audio_buffer.append"]
    note, create = sent[:2]
    assert (note["item"]["role"], note["item"]["content"][0]["text"]) == ("system", BROKE_OFF)
    assert create["type"] == "response.create"


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(25), 12))
def test_turns_are_in_the_order_of_speech_whatever_is_lost(make_phone: Callable[..., Phone], seed: int) -> None:
    """A dialogue at random with losses at random: each sentence of the caller is there once, where it was said."""
    random = Random(seed)
    plan = changed(PLAN, losses_per_minute=100, losses_per_call=100, patience_ms=10**9, idle_gaps_ms=(10**9,) * 3)
    phone = make_phone(
        plan,
        random.uniform(0, 100),
        random.uniform(0, 30),
        seed,
        answer_ms=random.choice([600, 2_500]),
        transcribe_ms=random.choice([100, 900, 2_500]),
    )
    phone.after(1_500)
    spoken = []
    for n in range(10):
        if random.random() < 0.5:
            phone.fate = random.choice(["refused", "hangs", "mute", "closes"])
        if random.random() < 0.6:
            phone.after(random.uniform(0, 900))
            phone.lose()
        spoken.append(phone.world.now - 1_005 + 20)
        phone.speak(random.choice([500, 900, 1_600]), seed=n)
        phone.after(random.uniform(500, 3_000))
        if random.random() < 0.4:
            phone.lose()
        phone.after(random.uniform(0, 3_000))
        phone.fate = ""
        phone.after(7_000)
    phone.after(10_000)
    phone.carrier.stop()
    phone.after(500)
    turns = phone.told(TurnEnded)
    assert [turn.seq for turn in turns] == list(range(1, len(turns) + 1))
    assert all(before.start_ms <= after.start_ms for before, after in pairwise(turns))
    said = [turn for turn in turns if turn.role == "caller"]
    # One that a loss cuts in two may be two turns; none is missing, and none is elsewhere.  Of one that was answered before
    # its transcript came, and then lost, there are no words.
    assert len([turn for turn in said if turn.text]) >= len(spoken) - 3
    for at in spoken:
        assert any(abs(turn.start_ms - at) < 800 for turn in said), (at, [(t.start_ms, t.text) for t in turns])
    assert len(said) <= 2 * len(spoken)
    assert phone.model.violations == []
