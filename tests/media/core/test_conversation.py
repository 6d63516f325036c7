import json
from collections.abc import Callable
from typing import Any

import pytest

from media.core.commands import EndCall, Watch
from media.core.legmessages import Audio, Broken, Digit, HangUp, Leave, Mark
from media.core.modelmessages import CallerText
from media.core.plans import Prompt, PromptKind
from media.core.types import (
    AnnouncementPlayed,
    BargedIn,
    CallEnded,
    CallStarted,
    Delta,
    Digits,
    LatencyMeasured,
    ModelLost,
    RecordAgent,
    RecordCaller,
    RunTool,
    StartRecording,
    ToolCalled,
    TurnEnded,
)
from tests.media.core.plans import BARE, GREETING, PLAN, TOOLS
from tests.support.plans import changed
from tests.support.simulation import Phone, World, calls


def test_the_greeting_plays_while_the_model_is_dialled(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(3_000)
    assert phone.told(CallStarted) == [CallStarted(phone.carrier.SID)]
    assert phone.carrier.heard(phone.world.now) == GREETING
    (turn,) = phone.told(TurnEnded)
    text, begins_ms = "Hello and welcome to the shop", turn.start_ms
    assert turn == TurnEnded(1, "agent", text, text, begins_ms, begins_ms + 2_000, False, "clip_1")
    assert phone.model.types() == ["session.update", "conversation.item.create"]
    session = phone.model.received[0]["session"]
    assert session["audio"]["input"]["turn_detection"]["create_response"] is False


def test_a_question_is_answered_in_the_order_of_speech(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, transcribe_ms=2_500)
    phone.after(1_000)
    phone.speak(1_000)
    phone.after(6_500)
    first, second = phone.told(TurnEnded)
    assert (first.seq, first.role, second.seq, second.role) == (1, "caller", 2, "agent")
    assert first.text == "text of user_1"
    assert second.text == second.heard_text == " ".join(f"word{n}" for n in range(30))
    assert abs(first.end_ms - first.start_ms - 1_000) <= 60
    assert abs(second.end_ms - second.start_ms - 3_000) <= 1
    latency = phone.told(LatencyMeasured)[0]
    assert latency.turn_seq == 2
    assert abs(latency.total_ms - (second.start_ms - first.end_ms)) <= 40
    assert 0 <= latency.ours_ms <= 40  # caller audio within a turn is sent three frames at a time
    # The rest is the network: 40 ms from the carrier and 40 ms back.
    assert abs(latency.total_ms - latency.model_ms - latency.ours_ms - 80) <= 5
    assert phone.model.violations == []


def test_the_announcement_is_proven_protected_and_precedes_the_recording(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, recording=True, announce_recording=True), delay=30)
    phone.after(300)
    phone.speak(500)
    phone.after(6_000)
    (played,) = phone.told(AnnouncementPlayed)
    assert abs(played.at_ms - 1_000) <= 60 and phone.told(BargedIn) == []
    kinds = [type(action) for _, action in phone.actions]
    begin = kinds.index(StartRecording)
    assert RecordCaller not in kinds[:begin] and RecordAgent not in kinds[:begin]
    starts = phone.actions[begin][1]
    assert isinstance(starts, StartRecording)
    announced = starts.announced
    heard = b"".join(span.payload for span in announced)
    assert heard == PLAN.prompts[PromptKind.ANNOUNCEMENT].audio and 0 <= announced[0].at_ms <= 100
    spans = [*announced, *(action for _, action in phone.actions if isinstance(action, RecordAgent))]
    assert GREETING[-8 * 1_800 :] in b"".join(span.payload for span in spans)
    ends = [span.at_ms + len(span.payload) // 8 for span in spans]
    assert all(begun >= ended for begun, ended in zip((s.at_ms for s in spans[1:]), ends, strict=False))


def test_without_audio_the_model_says_the_clips_in_order(make_phone: Callable[..., Phone]) -> None:
    prompts = {PromptKind.ANNOUNCEMENT: Prompt("Recorded."), PromptKind.GREETING: Prompt("Hello.", GREETING)}
    phone = make_phone(changed(PLAN, prompts=prompts, recording=True, announce_recording=True), answer_ms=800)
    phone.after(5_000)
    asked = [m["response"]["instructions"][-9:] for m in phone.model.received if m["type"] == "response.create"]
    assert [text.split("\n")[-1] for text in asked] == ["Recorded.", "Hello."]
    assert len(phone.told(AnnouncementPlayed)) == 1
    assert phone.model.violations == []


def test_a_lost_model_is_dialled_again_and_told_what_was_said(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN, answer_ms=6_000)
    phone.after(3_000)
    phone.speak(600)
    phone.after(2_000)
    phone.model.open = False
    phone.model.received.clear()
    phone.carry(phone.talk.model_lost(phone.world.now, "closed"))
    phone.after(3_000)
    assert [type(e) for e in phone.reports if isinstance(e, ModelLost)] == [ModelLost]
    assert phone.model.types()[0] == "session.update"
    items = [m["item"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    assert [item["role"] for item in items][:2] == ["assistant", "user"]
    assert items[1]["content"][0]["text"] == "text of user_1"
    assert "response.create" in phone.model.types()
    assert phone.model.violations == []


def test_the_agent_hangs_up_after_its_last_words(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(BARE, tools=TOOLS))
    phone.after(500)
    phone.model.player.turns = [calls("end_call")]
    phone.speak(500)
    phone.after(3_000)
    assert phone.hung_up == HangUp("agent")
    assert isinstance(phone.reports[-1], CallEnded)


def test_a_spoken_close_is_heard_before_the_hang_up(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(500)
    phone.carry(phone.talk.command(EndCall("operator", spoken=True), phone.world.now))
    phone.speak(1_000)
    phone.after(4_000)
    assert phone.hung_up == HangUp("operator")
    assert [each for each in phone.heard_texts() if each[0] == "agent"] == [
        ("agent", "Hello and welcome to the shop"),
        ("agent", "Goodbye then"),
    ]
    assert phone.carrier.heard(phone.world.now) == GREETING + bytes(800)


def test_a_tool_runs_its_filler_plays_and_the_answer_follows(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, tools=TOOLS))
    phone.after(2_500)
    phone.model.player.turns = [calls("look_up")]
    phone.speak(500)
    phone.after(3_500)
    (run,) = [action for _, action in phone.actions if isinstance(action, RunTool)]
    assert (run.name, run.arguments_json) == ("look_up", "{}")
    assert phone.told(ToolCalled)[0].tool_call_id == run.tool_call_id
    assert phone.carrier.heard(phone.world.now).endswith(bytes(800))
    phone.carry(phone.talk.tool_result(run.tool_call_id, '{"ok":true}', "ok", phone.world.now))
    phone.after(5_000)
    assert phone.model.types().count("response.create") == 2
    assert any(m.get("item", {}).get("type") == "function_call_output" for m in phone.model.received)
    latency = phone.told(LatencyMeasured)[-1]
    assert latency.first_sound_ms < latency.total_ms
    assert phone.model.violations == []


def test_a_key_is_reported_when_it_is_pressed(make_phone: Callable[..., Phone]) -> None:
    """A process that dies within the pause that completes an entry takes no key with it."""
    phone = make_phone(BARE)
    phone.after(1_000)
    for digits in ("4", "42"):
        phone.carrier.dtmf(digits[-1])
        phone.after(60)  # it is under way for 40
        assert phone.told(Digits)[-1].digits == digits
    assert len({each.at_ms for each in phone.told(Digits)}) == 1, "it is one entry"
    phone.after(3_000)
    phone.carrier.dtmf("7")
    phone.after(60)
    assert [each.digits for each in phone.told(Digits)] == ["4", "42", "7"]
    assert phone.told(Digits)[-1].at_ms > phone.told(Digits)[0].at_ms + 3_000


def test_digits_are_reported_and_told_to_the_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    for digit in "12#":
        phone.carrier.dtmf(digit)
    phone.after(3_000)
    assert [d.digits for d in phone.told(Digits)] == ["1", "12", "12#"]
    items = [m["item"]["content"][0]["text"] for m in phone.model.received if m["type"] == "conversation.item.create"]
    assert items == ["Caller entered 12 on the keypad"]
    assert phone.model.types().count("response.create") == 1


@pytest.mark.parametrize("lost_first", [False, True])
def test_every_later_session_knows_what_was_entered_in_its_place(
    make_phone: Callable[..., Phone], lost_first: bool
) -> None:
    """An account number that was entered once is not asked for again because a socket broke."""
    phone = make_phone(BARE)
    phone.after(1_000)
    if lost_first:
        phone.lose()  # the keys come while there is no session
    for digit in "12#":
        phone.carrier.dtmf(digit)
    phone.after(3_000)
    phone.lose()
    phone.after(3_000)
    phone.speak(600)
    phone.after(3_000)
    phone.lose()
    phone.after(3_000)
    received = phone.model.received
    begun = [place for place, each in enumerate(received) if each["type"] == "session.update"]
    assert len(begun) == (4 if lost_first else 3)
    for begin, end in zip(begun, [*begun[1:], None], strict=True):
        texts = [
            each["item"]["content"][0]["text"]
            for each in received[begin:end]
            if each["type"] == "conversation.item.create" and each["item"]["role"] != "system"
        ]
        if begin == begun[0] and lost_first:
            assert texts == []
        else:
            assert texts[:1] == ["Caller entered 12 on the keypad"] and texts.count(texts[0]) == 1
    assert [d.digits for d in phone.told(Digits)] == ["1", "12", "12#"], "and each key is reported once"
    assert [turn.seq for turn in phone.told(TurnEnded)] == list(range(1, len(phone.told(TurnEnded)) + 1))


def test_keys_are_not_lost_when_the_call_ends_in_their_pause(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(500)
    phone.carrier.dtmf("4")
    phone.carrier.dtmf("2")
    phone.carrier.stop()
    phone.after(200)
    assert isinstance(phone.reports[-1], CallEnded)
    assert phone.told(Digits)[-1].digits == "42"


def test_the_longest_call_ends(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(changed(PLAN, max_call_ms=3_000))
    phone.after(5_000)
    assert phone.hung_up == HangUp("max_duration")


def test_deltas_are_reported_only_while_watched(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(500)
    phone.speak(400)
    phone.after(1_500)
    assert phone.told(Delta) == []
    phone.carry(phone.talk.command(Watch(2_000), phone.world.now))
    phone.after(1_000)
    assert phone.told(Delta)
    phone.after(1_500)
    before = len(phone.told(Delta))
    phone.speak(400)
    phone.after(4_000)
    assert phone.told(TurnEnded)[-1].role == "agent" and len(phone.told(Delta)) == before, "the lease has expired"


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (Broken("no JSON"), "no JSON"),
        (Audio(bytes(2), 0), "not before start"),
        (Mark(1), "not before start"),
        (Digit("1"), "not before start"),
    ],
)
def test_a_carrier_that_breaks_its_protocol_ends_the_call(world: World, sent: Any, detail: str) -> None:
    from media.core.conversation import Conversation

    talk = Conversation(BARE)
    assert talk.from_leg(sent, world.now)[-1] == Leave(HangUp("carrier_protocol", detail))
    assert talk.tick(world.now) == talk.from_leg(sent, world.now) == talk.leg_gone(world.now, HangUp("x")) == []


def test_a_second_start_ends_the_call(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(500)
    phone.carrier.start()
    phone.after(500)
    assert phone.hung_up == HangUp("carrier_protocol", "a second start")


def test_three_malformed_model_events_in_a_row_lose_the_model(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    bad = json.dumps({"type": "response.done"}).encode()
    for payload in (bad, bad, b'{"type":"rate_limits.updated"}', bad, bad):
        phone.from_server(payload)
    assert phone.told(ModelLost) == []
    phone.after(500)  # ticks do not show that the model is alive
    phone.from_server(bad)
    assert len(phone.told(ModelLost)) == 1


def test_the_caller_hangs_up_mid_sentence(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(PLAN)
    phone.after(1_000)
    phone.carrier.stop()
    phone.after(500)
    assert phone.hung_up == HangUp("caller")
    assert phone.told(TurnEnded)[0].interrupted
    assert phone.told(TurnEnded)[0].heard_text == "Hello and"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "conversation.item.added"},
        {"type": "conversation.item.done", "item": None},
        {"type": "conversation.item.truncated", "audio_end_ms": "all"},
        {"type": "response.output_audio.done"},
        {"type": "rate_limits.updated", "rate_limits": 5},
        {"type": "session.created", "session": None},
        {"type": "error", "error": {"code": 5, "message": None}},
        {"type": "response.output_item.added", "response_id": "r", "item": {"type": "reasoning"}},
        {"type": "response.output_item.done", "item": {"id": "i"}},
        {"type": "of a later release", "x": [1]},
    ],
)
def test_events_that_the_core_has_no_use_for_never_end_a_session(
    make_phone: Callable[..., Phone], event: dict[str, Any]
) -> None:
    phone = make_phone(BARE)
    phone.after(1_000)
    for _ in range(10):
        phone.from_server(json.dumps(event).encode())
    assert phone.told(ModelLost) == []


def test_a_long_answer_is_kept_only_until_it_was_heard(make_phone: Callable[..., Phone]) -> None:
    phone = make_phone(BARE, answer_ms=20_000)
    phone.after(1_000)
    phone.speak(600)
    kept, heard = 0, 0
    for _ in range(240):
        phone.after(100)
        for item in phone.talk._voice.playout.line:
            kept, heard = max(kept, item.audio.kept - (item.generated - item.heard)), max(heard, item.heard)
    assert heard > 100_000, "it was heard"
    assert kept < 2_000, "of what was heard, less than a piece is kept"


@pytest.mark.parametrize(
    ("hangs_up_ms", "transcribe_ms", "untranscribed"),
    [(800, 100, True), (1_200, 100, True), (4_000, 60_000, True), (9_000, 60_000, True), (4_000, 100, False)],
)
def test_the_end_tells_of_a_voice_whose_words_never_came(
    make_phone: Callable[..., Phone], hangs_up_ms: int, transcribe_ms: int, untranscribed: bool
) -> None:
    phone = make_phone(BARE, transcribe_ms=transcribe_ms)
    phone.after(1_000)
    phone.speak(1_000)
    phone.after(hangs_up_ms)
    phone.carrier.stop()
    phone.after(100)
    (ended,) = phone.told(CallEnded)
    assert ended.reason == "caller"
    assert 400 <= ended.untranscribed_ms <= 1_000 if untranscribed else ended.untranscribed_ms == 0


@pytest.mark.parametrize(("failed", "untranscribed"), [(True, True), (False, False)])
def test_a_transcription_that_failed_is_none_and_an_empty_one_is(
    make_phone: Callable[..., Phone], failed: bool, untranscribed: bool
) -> None:
    phone = make_phone(BARE, transcribe_ms=60_000)
    phone.after(1_000)
    phone.speak(1_000)
    phone.after(1_800)
    phone.carry(phone.talk.from_model(CallerText("item_1", failed=failed), phone.world.now))
    phone.carrier.stop()
    phone.after(100)
    (ended,) = phone.told(CallEnded)
    assert (ended.untranscribed_ms > 0) is untranscribed
