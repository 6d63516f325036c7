"""What the model hears with and speaks with: real speech where there is some, else the script and tones."""

from sandbox.openai.codec import Codec
from sandbox.openai.script import Player, Tone
from sandbox.speech import Speech, sound
from sandbox.speech.sound import Utterance


class Senses:
    def __init__(self, speech: Speech | None) -> None:
        self._speech = speech

    async def utter(self, text: str, voice: str, rate_hz: int) -> Utterance:
        if self._speech is not None:
            return await self._speech.utter(text, voice, rate_hz)
        return sound.tones(text, rate_hz)

    @staticmethod
    def tone(tone: Tone, rate_hz: int) -> Utterance:
        """A pure sine; its transcript is one word for the whole of it."""
        word = sound.Word(f"[{tone.hz:g} Hz]", 0, tone.ms)
        return Utterance(sound.sine(tone.hz, tone.ms, rate_hz), rate_hz, [word])

    async def hear(self, codec: Codec, audio: bytes, player: Player) -> str:
        """The words in the audio; where nothing can hear, the script's next `heard`, or how long it was."""
        if self._speech is not None:
            return await self._speech.hear(codec.decode(audio), codec.rate_hz)
        scripted = player.next_heard()
        return f"Speech of {codec.ms(len(audio))} ms." if scripted is None else scripted
