"""Whatever either peer sends, in whatever order: no exception, no broken ledger, never two responses at once."""

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from media.core.commands import EndCall, Machine, Watch
from media.core.conversation import Conversation
from media.core.heardposition import Item
from media.core.legmessages import HangUp, Leave, Mark
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import Prompt, PromptKind
from media.core.types import Action, Report, Stamp, ToModel, ToolCalled, ToolFinished
from media.legs import twiliowire
from media.models.wires import wire_of
from tests.support.examples import examples
from tests.support.plans import call_plan

PLAN = call_plan("", TurnModel("m", "v", "t"),
    prompts={PromptKind.GREETING: Prompt("Hello there", bytes(4_000)), PromptKind.ANNOUNCEMENT: Prompt("Recorded", bytes(800)), PromptKind.GOODBYE: Prompt("Bye")},
    fillers=(Prompt("Let me see", bytes(2_400)), Prompt("One second", bytes(800))), filler_after_ms=300,
    tools=(Tool("f", "", "{}", 1_000), Tool("end_call", "", "{}", outcome=HangUp("agent"))),
    recording=True, announce_recording=True, protect_announcement=False, idle_gaps_ms=(3_000,) * 3, answer_ms=2_000, session_ms=2_000, losses_per_minute=50, losses_per_call=50, patience_ms=60_000,
)  # fmt: skip
WIRE = wire_of(PLAN.agent.model)
ids, responses = st.sampled_from(["i1", "i2", "i3"]), st.sampled_from(["r1", "r2"])
calls = st.sampled_from(["c1", "c2", "c3", "c4"])
LOUD = base64.b64encode(bytes(range(80)) * 2).decode()
AUDIO = base64.b64encode(bytes(1_600)).decode()
START = {
    "streamSid": "MZ",
    "callSid": "CA",
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
}


def carrier(event: str, **body: Any) -> tuple[str, bytes]:
    return ("carrier", json.dumps({"event": event, event: body}).encode())


def model(type: str, **body: Any) -> tuple[str, bytes]:
    return ("model", json.dumps({"type": type, **body}).encode())


def response(type: str) -> st.SearchStrategy[Any]:
    return st.builds(lambda r: model(type, response={"id": r, "status": "completed"}), responses)


def item(type: str) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda r, i, t: model(type, response_id=r, item={"id": i, "type": t}),
        responses, ids, st.sampled_from(["message", "function_call"]),
    )  # fmt: skip


steps = st.one_of(
    st.builds(lambda ms, loud: carrier("media", timestamp=str(ms), payload=LOUD if loud else "/////w=="), st.integers(0, 9_999), st.booleans()),
    st.just(("speech", 8)), st.just(("speech", 25)),
    st.just(("echo", 1)), st.just(("echo", 5)),
    st.builds(lambda n: carrier("mark", name=str(n)), st.integers(0, 60)),
    st.builds(lambda d: carrier("dtmf", digit=d), st.sampled_from("1#")),
    st.sampled_from([("tick", 1), ("tick", 10), ("tick", 200)]),
    st.builds(lambda r, i: model("response.output_audio.delta", response_id=r, item_id=i, delta=AUDIO), responses, ids),
    st.builds(lambda i: model("response.output_audio_transcript.delta", item_id=i, delta="word "), ids),
    response("response.created"), response("response.done"),
    item("response.output_item.added"), item("response.output_item.done"),
    st.builds(lambda i: model("input_audio_buffer.speech_started", item_id=i, audio_start_ms=0), ids),
    st.builds(lambda i: model("input_audio_buffer.speech_stopped", item_id=i, audio_end_ms=500), ids),
    st.builds(lambda i: model("input_audio_buffer.committed", item_id=i), ids),
    st.builds(lambda i: model("conversation.item.input_audio_transcription.completed", item_id=i, transcript="x"), ids),
    st.builds(lambda n, c, r: model("response.function_call_arguments.done", response_id=r, item_id="i3", call_id=c, name=n, arguments="{}"), st.sampled_from(["f", "f", "f", "g", "end_call"]), calls, responses),
    st.builds(lambda c: ("result", c), calls),
    st.just(model("session.created")),
    st.just(model("error", error={"message": "m", "event_id": "create_1"})),
    st.sampled_from([("model", b"{"), ("model", b'{"type":"response.done"}'), ("ready", 0), ("ready", 0), ("lost", 0)]),
    st.sampled_from([("command", Watch(500)), ("command", EndCall("r", spoken=True)), ("command", Machine("m", message=True))]),
)  # fmt: skip
rare = st.sampled_from([carrier("start", **START), ("carrier", b"{"), carrier("stop"), ("gone", 0), carrier("mark")])


class Guard:
    """Feeds one conversation and checks its actions against the rules."""

    def __init__(self) -> None:
        self.talk, self.now, self.frames = Conversation(PLAN), 1_000.0, 0
        self.marks: list[int] = []
        self.epoch_of_proof, self.active, self.over = 0, False, False
        self.heard: dict[int, tuple[Item, int]] = {}
        self.received: dict[str, int] = {}
        self.tools = set[str]()

    def feed(self, kind: str, value: Any) -> None:
        talk, self.now = self.talk, self.now + 3
        match kind:
            case "carrier":
                self.leg(value)
            case "model":
                if self.over or talk._model.session.ready:
                    self.watch(json.loads(value) if value != b"{" else {})
                self.check(talk.from_model(WIRE.decode(value), self.now))
            case "speech":
                for _ in range(value):
                    self.frames, self.now = self.frames + 1, self.now + 20
                    self.leg(carrier("media", timestamp=str(self.frames * 20), payload=LOUD)[1])
            case "echo":
                for number in self.marks[:value]:
                    self.leg(carrier("mark", name=str(number))[1])
                del self.marks[:value]
            case "tick":
                for _ in range(value):
                    self.now += 20
                    self.check(talk.tick(self.now))
            case "ready":
                self.active = False
                self.check(talk.model_ready(self.now))
            case "lost":
                self.active = False
                self.check(talk.model_lost(self.now, "closed"))
            case "result":
                self.check(talk.tool_result(value, "{}", "ok", self.now))
            case "command":
                self.check(talk.command(value, self.now))
            case "gone":
                self.check(talk.leg_gone(self.now, HangUp("gone")))

    def leg(self, payload: bytes) -> None:
        event = twiliowire.decode(payload)
        if event is not None:
            self.check(self.talk.from_leg(event, self.now))

    def watch(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "response.done", "response": _} | {"type": "error"}:
                self.active = False
            case {"type": "response.output_audio.delta", "item_id": id}:
                self.received[id] = self.received.get(id, 0) + 1_600

    def check(self, actions: list[Action]) -> None:
        assert not (self.over and actions)
        for action in actions:
            assert not self.over
            self.over = isinstance(action, Leave)
            match action:
                case Stamp(moment):
                    self.talk.written(moment, self.now + 1)
                case Report(ToolCalled(tool_call_id)):
                    assert tool_call_id not in self.tools
                    self.tools.add(tool_call_id)
                case Report(ToolFinished(tool_call_id)):
                    self.tools.remove(tool_call_id)
            if isinstance(action, Mark):
                self.marks.append(action.number)
            if isinstance(action, ToModel):
                self.to_model(json.loads(WIRE.encode(action.command)))
        voice = self.talk._voice
        for item in voice.playout.line:
            assert 0 <= item.proven <= item.heard <= item.sent <= item.generated
            assert item.heard >= self.heard.get(id(item), (item, 0))[1]
            self.heard[id(item)] = item, item.heard

    def to_model(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "response.create":
                assert self.talk._model.responding
            case "conversation.item.truncate":
                assert 0 < message["audio_end_ms"] * 8 <= self.received[message["item_id"]]


@settings(max_examples=examples(300, 30), deadline=None)
@given(st.lists(steps, min_size=15, max_size=60), st.lists(rare, max_size=1), st.booleans())
def test_any_order(first: list[tuple[str, bytes]], then: list[tuple[str, Any]], begins: bool) -> None:
    guard = Guard()
    if begins:
        guard.feed(*carrier("start", **START))
        guard.feed("ready", 0)
    for step in (*first, *then, ("tick", 5)):
        guard.feed(*step)
    guard.feed("gone", 0)
    assert guard.over
    assert not guard.tools
