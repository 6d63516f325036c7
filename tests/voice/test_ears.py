"""What a cascade makes of what its ears tell: turns of minutes, noises, loops, and servers that refuse everything."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from hum.cascades import Cascade, EarsStage, MindStage, MouthStage, StageEndpoint
from hum.settings import VoiceSettings
from realtime.codec import PCMU
from tests.voice.test_barge_ins import LOUD, QUIET, URL, Servers, Talk, run
from voice import phantoms, trials
from voice.mouth import HttpMouth
from voice.ready import RETRY_SECONDS, ReadyCascade
from voice.stages import Chain, StageFailed, StageUse

CASCADE = Cascade(
    ears=(EarsStage(url=URL, model="ears"), EarsStage(url=URL, model="spare ears")),
    mind=(MindStage(url=URL, model="mind"),),
    mouth=(
        MouthStage(url=URL, model="mouth", voice={"en": "amy", "es": "eva"}),
        MouthStage(url=URL, model="any", voice="v"),
    ),
)


class Hearing(Servers):
    """Servers whose ears give these texts in turn, each told how much of the turn it has."""

    def __init__(self, *texts: str, seconds: float = 0.1) -> None:
        super().__init__(seconds=seconds)
        self.texts, self.refused = list(texts), set[str]()
        self.heard_ms = list[int]()

    async def stream(
        self, stage: StageEndpoint, path: str, most_bytes: int, *, json: Any = None, data: Any = None
    ) -> AsyncGenerator[bytes, None]:
        if stage.model in self.refused:
            raise StageFailed("it answered 401: sk-1 is no key", is_lasting=True)
        if path != "/audio/transcriptions":
            async for payload in super().stream(stage, path, most_bytes, json=json, data=data):
                yield payload
            return
        content = data()._fields[0][2]
        self.heard_ms.append((len(content) - 44) // 16)
        self.asked.append((path, stage.model, None))
        await asyncio.sleep(self.seconds)
        yield msgspec.json.encode({"text": self.texts.pop(0)})


def test_a_turn_of_a_minute_is_recognized_in_pieces_and_nothing_is_lost() -> None:
    async def call() -> None:
        servers = Hearing("One.", "two.", "two and three.", "four.", "nothing more")
        talk = Talk(servers)
        for ms in (12_000, 5_000, 8_000, 30_000):
            await talk.hear(LOUD, ms)
            await talk.hear(QUIET, 300)
        await talk.hear(QUIET, 400)
        done = talk.of("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in done] == ["One. two and three. four."]
        # Of 12 s, of the 5 s after them, of those with 8 s more, and of the last 30 s: never of the whole turn.
        assert [ms // 1000 for ms in servers.heard_ms] == [12, 5, 13, 30]

    run(call())


def test_a_piece_that_failed_is_recognized_with_what_follows() -> None:
    async def call() -> None:
        loop = " ".join(["and so on"] * 20)
        servers = Hearing(loop, loop, "One, two.")
        talk = Talk(servers)
        await talk.hear(LOUD, 12_000)
        await talk.hear(QUIET, 400)
        await talk.hear(LOUD, 2_000)
        await talk.hear(QUIET, 1_000)
        done = talk.of("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in done] == ["One, two."]
        assert [use.error for use in talk.used] == ["its answer repeats itself"] * 2 + [""]

    run(call())


@pytest.mark.parametrize("text", ["Thank you.", "Untertitel der Amara.org-Community", "[Music]"])
def test_what_is_written_for_a_noise_is_no_word_of_the_caller(text: str) -> None:
    async def call() -> None:
        servers = Hearing(text)
        servers.chat = [["Pardon me?"]]
        talk = Talk(servers)
        await talk.hear(LOUD, 100)
        await talk.hear(QUIET, 700)
        done = talk.of("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in done] == [""]
        talk.tell("response.create")
        await talk.until("response.done")
        assert servers.prompts()[0][-1] == {"role": "user", "content": "(not understood)"}

    run(call())


@pytest.mark.parametrize(
    ("text", "credit", "polite", "loop"),
    [
        ("Thanks for watching!", True, False, False),
        ("Thank you for watching. Please subscribe.", True, False, False),
        ("Subtítulos realizados por la comunidad de Amara.org", True, False, False),
        ("Thanks for watching my dog on Tuesday.", False, False, False),
        ("I need the transcription by Friday.", False, False, False),
        ("Transcription by Friday, please.", False, False, False),
        ("Thank you.", False, True, False),
        ("Thank you, that is all.", False, False, False),
        ("zero zero zero zero seven", False, False, False),
        ("no no no no no no", False, False, False),
        ("no " * 30, False, False, True),
        ("I want " + "to book, " * 40, False, False, True),
        ("", False, False, False),
    ],
)
def test_phantoms_are_told_from_what_people_say(text: str, credit: bool, polite: bool, loop: bool) -> None:
    assert (phantoms.is_credit(text), phantoms.is_polite(text), phantoms.is_loop(text)) == (credit, polite, loop)


def test_a_hostile_text_is_judged_at_once() -> None:
    for text in ("a " * 100_000, "[" * 200_000, "amara" * 40_000, "thanks for " * 20_000, "x. " * 60_000):
        phantoms.is_credit(text)
        phantoms.is_polite(text)
        assert phantoms.is_loop(text) is (" " in text)


def test_calls_are_refused_while_all_servers_of_a_stage_refuse_and_taken_once_one_works() -> None:
    async def call() -> None:
        servers = Hearing(*["Hello."] * 9)
        ready, uses = ReadyCascade(CASCADE, servers, VoiceSettings()), list[StageUse]()
        servers.refused = {"ears"}
        assert await ready.ears.hear(PCMU, LOUD * 50, "", uses.append) == "Hello." and ready.fault == ""
        servers.refused |= {"spare ears"}
        with pytest.raises(StageFailed):
            await ready.ears.hear(PCMU, LOUD * 50, "", uses.append)
        # The key that the server quotes is in no message.
        assert ready.fault == "all servers of its ears fail: it answered 401"
        ready.recover()
        ready.recover()
        await asyncio.sleep(2.5 * RETRY_SECONDS)
        assert ready.fault
        servers.refused = {"ears"}
        await asyncio.sleep(RETRY_SECONDS)
        assert ready.fault == ""
        await ready.close()

    run(call())


def test_a_failure_that_passes_is_no_fault_of_a_cascade() -> None:
    async def call() -> None:
        servers = Hearing(*["Hello."] * 9)
        servers.failing = {"mouth", "any"}
        ready = ReadyCascade(CASCADE, servers, VoiceSettings())
        with pytest.raises(StageFailed):
            await ready.mouth.utter("Good morning.", PCMU, "en", list[StageUse]().append)
        assert ready.fault == ""

    run(call())


def test_a_mouth_has_a_voice_for_each_language_and_one_without_is_not_asked() -> None:
    async def call() -> None:
        servers, ignored = Servers(), list[StageUse]()
        mouth = HttpMouth(Chain("mouth", CASCADE.mouth), servers)
        for language in ("es", "", "de"):
            await mouth.utter("Buenos días.", PCMU, language, ignored.append)
        only = HttpMouth(Chain("mouth", CASCADE.mouth[:1]), servers)
        with pytest.raises(StageFailed, match="no server speaks de"):
            await only.utter("Guten Tag.", PCMU, "de", ignored.append)
        assert [(model, body["voice"]) for _, model, body in servers.asked] == [
            ("mouth", "eva"),
            ("mouth", "amy"),
            ("any", "v"),
        ]

    run(call())


def test_each_server_is_tried_with_a_sentence() -> None:
    async def call() -> None:
        servers = Hearing("One two three four five.")
        servers.chat = [["Yes."]]
        mouth = await trials.of_mouth(CASCADE.mouth[0], servers)
        ears = await trials.of_ears(CASCADE.ears[0], servers, mouth.sound)
        mind = await trials.of_mind(CASCADE.mind[0], servers)
        assert (mouth.error, mouth.took_ms, len(mouth.sound)) == ("", 100, 8 * 60 * len(trials.SENTENCE))
        assert (ears.words, mind.words, ears.error, mind.error) == ("One two three four five.", "Yes.", "", "")
        servers.refused = {"mind", "ears", "mouth"}
        tried = [await trials.of_mouth(CASCADE.mouth[0], servers), await trials.of_ears(CASCADE.ears[0], servers)]
        tried.append(await trials.of_mind(CASCADE.mind[0], servers))
        assert [each.error for each in tried] == ["it answered 401: sk-1 is no key"] * 3

    run(call())
