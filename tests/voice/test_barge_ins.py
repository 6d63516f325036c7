"""Calls with a cascade in virtual time: servers that answer late, callers who interrupt, tools that wait."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Coroutine
from random import Random
from typing import Any

import pytest

from hum.cascades import EarsStage, MindStage, MouthStage, StageEndpoint, TurnRules
from realtime.audio import encode
from realtime.codec import PCMU, Codec
from realtime.conversation import RealtimeConversation
from realtime.ids import counted
from realtime.record import SessionRecord
from realtime.stage import Stage
from sandbox.loopclock import VirtualLoop
from sandbox.speech import sound
from voice import pcm
from voice.ears import HttpEars
from voice.mind import ChatMind
from voice.mouth import HttpMouth
from voice.senses import CascadeSenses
from voice.session import CascadeRules, CascadeSession
from voice.sessionsocket import EventLoopClock
from voice.stages import Chain, StageFailed, StageUse

LOUD, QUIET = encode(sound.sine(440, 20, 8_000)), b"\xff" * 160
LONG = "We are open on Monday, Tuesday and Friday. The doctor sees you at nine. Do you want to come by then, or rather later?"
URL = "http://stage.example/v1"
TOOL = {"type": "function", "name": "book", "description": "Books.", "parameters": {"type": "object"}}


class Servers:
    """The servers of all stages; `chat` are the answers to completions in turn, each of them pieces of text or calls."""

    def __init__(self, *chat: list[Any], seconds: float = 0.1) -> None:
        self.chat, self.seconds = list(chat), seconds
        self.asked: list[tuple[str, str, Any]] = []
        self.failing: set[str] = set()
        self.running = 0

    async def stream(
        self, stage: StageEndpoint, path: str, most_bytes: int, *, json: Any = None, data: Any = None
    ) -> AsyncGenerator[bytes, None]:
        self.asked.append((path, stage.model, json))
        self.running += 1
        try:
            await asyncio.sleep(self.seconds)
            if stage.model in self.failing:
                raise StageFailed("it answered 500")
            if path == "/audio/transcriptions":
                yield b'{"text": "Hello."}'
            elif path == "/audio/speech":
                yield pcm.wav(sound.sine(300, 60 * len(json["input"]), 24_000), 24_000)[44:]
            else:
                async for piece in self._complete():
                    yield piece
        finally:
            self.running -= 1

    async def _complete(self) -> AsyncGenerator[bytes, None]:
        for piece in self.chat.pop(0):
            if piece is None:
                return
            if isinstance(piece, dict) and "index" not in piece:
                yield f"data: {json.dumps(piece)}\n\n".encode()
                continue
            delta = {"content": piece} if isinstance(piece, str) else {"tool_calls": [piece]}
            yield f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n".encode()
            await asyncio.sleep(self.seconds / 10)
        yield b"data: [DONE]\n\n"

    def prompts(self) -> list[list[dict[str, Any]]]:
        return [body["messages"] for path, _, body in self.asked if path == "/chat/completions"]


class Talk:
    """A session with these servers."""

    def __init__(self, servers: Servers, judge: Any = None) -> None:
        self.servers, self.sent = servers, list[dict[str, Any]]()
        ears = HttpEars(Chain("ears", [EarsStage(url=URL, model="ears")]), servers, 5.0)
        mouths = [MouthStage(url=URL, model=name, voice="v") for name in ("mouth", "spare mouth")]
        minds = [MindStage(url=URL, model=name) for name in ("mind", "spare mind")]
        self.used = list[StageUse]()
        senses = CascadeSenses(ears, HttpMouth(Chain("mouth", mouths), servers), self.used.append)
        self.conversation, self.clock = RealtimeConversation(), EventLoopClock()
        stage = Stage(
            send=self.sent.append,
            conversation=self.conversation,
            truth=SessionRecord("sess_1", "cascade:clinic"),
            mind=ChatMind(Chain("mind", minds), servers, self.used.append),
            senses=senses,
            rules=CascadeRules.of(TurnRules()),
            clock=self.clock,
            new_id=counted(),
        )
        self.session = CascadeSession(stage, senses, TurnRules(), 0, is_voice=None, judge=judge)
        pcmu = {"type": "audio/pcmu"}
        turns = {"type": "semantic_vad", "eagerness": "high", "create_response": False, "interrupt_response": False}
        listening = {"format": pcmu, "transcription": {"model": "ears"}, "turn_detection": turns}
        audio = {"input": listening, "output": {"format": pcmu, "voice": "a voice of another model"}}
        self.tell("session.update", session={"type": "realtime", "audio": audio, "tools": [TOOL]})
        assert [event for event in self.sent if event["type"] == "error"] == []

    def tell(self, type: str, **fields: Any) -> None:
        self.session.handle(json.dumps({"type": type, **fields}))

    async def hear(self, frame: bytes, ms: int) -> None:
        for _ in range(ms // 20):
            self.session.hear(frame)
            await asyncio.sleep(0.02)

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["type"] == type]

    def audio_ms(self) -> int:
        return sum(len(base64.b64decode(event["delta"])) for event in self.of("response.output_audio.delta")) // 8

    async def until(self, type: str) -> dict[str, Any]:
        while not self.of(type):
            await asyncio.sleep(0.01)
        return self.of(type)[-1]


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def heard_words(talk: Talk, heard_ms: int) -> str:
    """What a client knows of the words whose sound had ended: each delta comes right before its sound."""
    at_ms, ends, text = 0, list[tuple[int, str]](), ""
    for event in talk.sent:
        if event["type"] == "response.output_audio_transcript.delta":
            ends.append((at_ms, text))
            text += event["delta"]
        elif event["type"] == "response.output_audio.delta":
            at_ms += len(base64.b64decode(event["delta"])) // 8
    ends.append((at_ms, text))
    return [words for end_ms, words in ends if end_ms <= heard_ms][-1].strip()


@pytest.mark.parametrize("seed", range(100))
def test_after_a_barge_in_the_next_prompt_has_exactly_the_heard_words_and_nothing_sounds(seed: int) -> None:
    async def call() -> None:
        random = Random(seed)
        servers = Servers([f"{word} " for word in LONG.split()], ["Fine."], seconds=random.uniform(0.02, 0.4))
        talk = Talk(servers)
        talk.tell("response.create")
        await talk.until("response.output_audio.delta")
        await asyncio.sleep(random.uniform(0, 3))
        if not talk.of("response.done"):
            talk.tell("response.cancel")
        count = len(talk.sent)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert servers.running == 0, "all requests have ended"
        heard_ms = random.randint(1, talk.audio_ms())
        (item,) = talk.conversation.items
        talk.tell("conversation.item.truncate", item_id=item.id, content_index=0, audio_end_ms=heard_ms)
        await asyncio.sleep(5)
        assert [event["type"] for event in talk.sent[count:]] == ["conversation.item.truncated"]
        talk.tell("response.create")
        await asyncio.sleep(5)
        said = [message["content"] for message in servers.prompts()[-1] if message["role"] == "assistant"]
        assert said == [words for words in [heard_words(talk, heard_ms)] if words]

    run(call())


def test_recognition_begins_in_the_pause_and_is_ready_when_the_turn_ends() -> None:
    async def call() -> None:
        talk = Talk(Servers(seconds=0.3))
        await talk.hear(LOUD, 600)
        await talk.hear(QUIET, 620)
        assert [path for path, _, _ in talk.servers.asked] == ["/audio/transcriptions"]
        assert talk.of("conversation.item.input_audio_transcription.completed")[0]["transcript"] == "Hello."

    run(call())


def test_a_caller_who_goes_on_is_recognized_anew_and_the_shorter_turn_is_stopped() -> None:
    async def call() -> None:
        talk = Talk(Servers(seconds=1.0))
        await talk.hear(LOUD, 400)
        await talk.hear(QUIET, 300)
        await talk.hear(LOUD, 400)
        await talk.hear(QUIET, 700)
        assert talk.servers.running == 1
        await talk.hear(QUIET, 1_000)
        assert len(talk.servers.asked) == 2
        assert len(talk.of("conversation.item.input_audio_transcription.completed")) == 1

    run(call())


class Judge:
    """A detector that takes each pause for the end."""

    def judge(self, codec: Codec, audio: bytes, then: Any) -> None:
        assert codec is PCMU and audio
        then(True)


def test_a_judge_ends_the_turn_early_and_a_tool_waits_for_true_silence() -> None:
    async def call() -> None:
        book = {"index": 0, "function": {"name": "book", "arguments": "{}"}}
        talk = Talk(Servers([book], seconds=0.01), Judge())
        await talk.hear(LOUD, 400)
        await talk.hear(QUIET, 260)
        assert talk.of("input_audio_buffer.speech_stopped"), "before the silence of the eagerness"
        talk.tell("response.create")
        await talk.hear(QUIET, 200)
        assert talk.of("response.function_call_arguments.done") == []
        await talk.hear(QUIET, 260)
        assert talk.of("response.function_call_arguments.done")[0]["name"] == "book"

    run(call())


def test_a_mind_that_breaks_is_continued_by_the_next_and_no_tool_is_repeated() -> None:
    async def call() -> None:
        book = {"index": 0, "function": {"name": "book", "arguments": "{}"}}
        servers = Servers(["I book that now. ", "It ", book, None], ["It is done. ", book])
        talk = Talk(servers)
        talk.tell("response.create")
        await talk.until("response.done")
        await asyncio.sleep(0)
        said = "".join(event["delta"] for event in talk.of("response.output_audio_transcript.delta"))
        assert said == "I book that now. It is done."
        assert len(talk.of("response.function_call_arguments.done")) == 1
        assert [message["content"] for message in servers.prompts()[1]][-2] == "I book that now."

    run(call())


def test_a_mouth_that_fails_is_followed_by_the_next_and_asked_last_for_a_while() -> None:
    async def call() -> None:
        servers = Servers(["We are open. ", "Come at nine. "])
        servers.failing = {"mouth"}
        talk = Talk(servers)
        talk.tell("response.create")
        done = await talk.until("response.done")
        assert done["response"]["status"] == "completed"
        mouths = [model for path, model, _ in servers.asked if path == "/audio/speech"]
        assert (mouths.count("spare mouth"), mouths[-1]) == (2, "spare mouth")

    run(call())


def test_each_request_tells_what_it_took_and_used_and_how_it_failed() -> None:
    async def call() -> None:
        counted = {"prompt_tokens": 50, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 40}}
        end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
        servers = Servers(["We are open. ", end, {"choices": [], "usage": counted}])
        servers.failing = {"mouth"}
        talk = Talk(servers)
        await talk.hear(LOUD, 400)
        await talk.hear(QUIET, 700)
        talk.tell("response.create")
        done = await talk.until("response.done")
        assert done["response"]["usage"] is None, "nothing is counted twice"
        await asyncio.sleep(1)
        ears, mind, failed, mouth = sorted(talk.used, key=lambda use: (use.stage, use.error == ""))
        assert (ears.model, ears.took_ms, ears.error) == ("ears", 100, "") and 600 <= ears.heard_ms <= 700
        assert (mind.tokens_in, mind.cached_tokens_in, mind.tokens_out) == (10, 40, 7) and mind.took_ms >= 100
        assert (failed.stage, failed.model, failed.error) == ("mouth", "mouth", "it answered 500")
        assert (mouth.model, mouth.spoken_ms) == ("spare mouth", talk.audio_ms())

    run(call())


def test_a_server_that_never_tells_its_usage_holds_no_call_up() -> None:
    async def call() -> None:
        book = {"index": 0, "function": {"name": "book", "arguments": "{}"}}
        end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
        servers = Servers([book, end, *[{"choices": []}] * 3, *["more"] * 500], seconds=1.0)
        talk = Talk(servers)
        talk.tell("response.create")
        began = asyncio.get_running_loop().time()
        await talk.until("response.function_call_arguments.done")
        # In virtual time; the server goes on for 500 s, which the call is meant to run out on.
        assert asyncio.get_running_loop().time() - began < 1.5
        assert talk.used[0].tokens_in == 0 and servers.running == 0

    run(call())


def test_a_turn_that_no_ears_understand_is_told_as_such() -> None:
    async def call() -> None:
        servers = Servers(["Pardon me?"], seconds=0.01)
        servers.failing = {"ears"}
        talk = Talk(servers)
        await talk.hear(LOUD, 400)
        await talk.hear(QUIET, 700)
        assert len(talk.of("conversation.item.input_audio_transcription.failed")) == 1
        talk.tell("response.create")
        await talk.until("response.done")
        assert servers.prompts()[0][-1] == {"role": "user", "content": "(not understood)"}

    run(call())


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [{"index": 0, "function": {"name": "cook", "arguments": "{}"}}],
        [{"index": 0, "function": {"name": "book", "arguments": "{"}}],
        ["<think>The caller wants it.</think>"],
    ],
)
def test_an_empty_answer_or_a_call_that_cant_be_made_is_asked_for_again(wrong: list[Any]) -> None:
    async def call() -> None:
        servers = Servers(wrong, ["All right. "])
        talk = Talk(servers)
        talk.tell("response.create")
        done = await talk.until("response.done")
        assert done["response"]["status"] == "completed"
        assert len(servers.prompts()) == 2
        assert talk.of("response.function_call_arguments.done") == []

    run(call())


def test_a_mind_that_can_do_nothing_right_fails_the_answer() -> None:
    async def call() -> None:
        talk = Talk(Servers([], [], []))
        talk.tell("response.create")
        done = await talk.until("response.done")
        assert done["response"]["status"] == "failed"

    run(call())
