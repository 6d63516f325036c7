"""Hearing and speaking without a speech engine: by the script and with tones.  Pure."""

from collections.abc import Callable

from realtime.codec import Codec
from realtime.mind import Voiced
from sandbox.openai.script import ScriptPlayer, Tone
from sandbox.speech import sound
from sandbox.speech.sound import Utterance


def heard(player: ScriptPlayer, audio_ms: int) -> str:
    """Return the script's next `heard`, or a sentence with the audio's length."""
    scripted = player.next_heard()
    return f"Speech of {audio_ms} ms." if scripted is None else scripted


def voiced(utterance: Utterance, codec: Codec) -> Voiced:
    return Voiced(codec.encode(utterance.samples), utterance.words)


def recital(payload: bytes, codec: Codec, word_ms: int = 100) -> Voiced:
    """Return a recording with one word every `word_ms`: `word0 `, `word1 `, ..."""
    length_ms = codec.ms(len(payload))
    words = [sound.Word(f"word{at // word_ms} ", at, at + word_ms) for at in range(0, length_ms, word_ms)]
    return Voiced(payload, words)


class Tones:
    def __init__(self, player: ScriptPlayer) -> None:
        self._player = player

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None:  # noqa: ARG002
        then(voiced(sound.tones(text, codec.rate_hz), codec))

    def tone(self, tone: Tone, codec: Codec) -> Voiced:
        """Return a pure sine wave; its transcript is a single word."""
        word = sound.Word(f"[{tone.hz:g} Hz]", 0, tone.ms)
        return voiced(Utterance(sound.sine(tone.hz, tone.ms, codec.rate_hz), codec.rate_hz, [word]), codec)

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        then(heard(self._player, codec.ms(len(audio))))
