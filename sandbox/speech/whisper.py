"""Recognition by Whisper, whose encoder sees the utterance and some silence instead of 30 s.

faster-whisper pads all audio to 30 s, so that a "yes" costs as much as a speech.  With too little silence behind the words the
decoder repeats them: a text that repeats itself is recognized again in the full window.
"""

import re
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

RATE_HZ = 16_000
#: Of the encoder's input, a frame each 10 ms.
FRAMES_PER_SECOND, FRAME_SAMPLES, FULL_FRAMES = 100, RATE_HZ // 100, 3_000
MIN_WINDOW_SECONDS, SILENCE_SECONDS = 12.0, 6.0
MAX_TOKENS = 200
#: More words than a person says in a second.
MAX_WORDS_PER_SECOND = 6
#: A decoder that repeats a letter makes one word of it.
MAX_WORD_CHARS = 30
#: Words that Whisper hallucinates in noise, from the captions in its training data.
HALLUCINATIONS = frozenset({"", "you", "thank you", "thanks for watching", "bye", "okay", "so"})

FloatSamples = np.ndarray[tuple[int], np.dtype[np.float32]]


class Recognizer:
    """A model in `folder` that may use so many `threads`."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
        self._tokens = Tokenizer(self._model.hf_tokenizer, multilingual=False)

    def recognize(self, samples: FloatSamples) -> str:
        """Return the words in samples at `RATE_HZ`; "" for silence and noise."""
        seconds = len(samples) / RATE_HZ
        frames = round(max(MIN_WINDOW_SECONDS, seconds + SILENCE_SECONDS) * FRAMES_PER_SECOND)
        if frames < FULL_FRAMES:
            text = self._recognize_window(samples, frames)
            if not repeats(text, seconds):
                return text
        return self._recognize_all(samples)

    def _recognize_window(self, samples: FloatSamples, frames: int) -> str:
        padded = np.zeros(frames * FRAME_SAMPLES, np.float32)
        padded[: len(samples)] = samples
        features = self._model.feature_extractor(padded, padding=0)[None, :, :frames]
        encoded = self._model.model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features)))
        prompt = [*self._tokens.sot_sequence, self._tokens.no_timestamps]
        (found,) = self._model.model.generate(
            encoded, [prompt], beam_size=1, max_length=MAX_TOKENS, return_no_speech_prob=True, return_scores=True
        )
        text = self._tokens.decode(found.sequences_ids[0]).strip()
        return text if is_speech(text, found.no_speech_prob, found.scores[0]) else ""

    def _recognize_all(self, samples: FloatSamples) -> str:
        segments, _ = self._model.transcribe(
            samples, language="en", beam_size=1, without_timestamps=True, condition_on_previous_text=False
        )
        heard = (each for each in segments if is_speech(each.text, each.no_speech_prob, each.avg_logprob))
        return " ".join(segment.text.strip() for segment in heard).strip()


def is_speech(text: str, no_speech_prob: float, mean_log_prob: float) -> bool:
    words = text.strip().strip(".!?,").lower()
    if words in HALLUCINATIONS and no_speech_prob > 0.3:
        return False
    return bool(words) and not (no_speech_prob > 0.6 and mean_log_prob < -0.7)


def repeats(text: str, seconds: float) -> bool:
    """Return whether a text of so many seconds says its beginning again, or more than a person can."""
    words: list[Any] = re.findall(r"[\w']+", text.lower())
    half = len(words) // 2
    has_echo = any(words[at : at + 3] == words[:3] for at in range(3, len(words) - 2))
    return (
        len(words) > MAX_WORDS_PER_SECOND * seconds + 3
        or (half > 0 and words[:half] == words[half : 2 * half])
        or has_echo
        or any(len(word) > MAX_WORD_CHARS for word in words)
    )
