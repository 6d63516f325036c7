"""Samples and spoken words.  Pure; samples are mono int16."""

import re
from dataclasses import dataclass

import numpy as np

from realtime.audio import Samples


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word; `text` keeps the white space before it, so that words concatenate to the sentence."""

    text: str
    start_ms: float
    end_ms: float


def level_dbfs(samples: Samples) -> float:
    """Return the RMS level in dBFS; digital silence is -100."""
    if not len(samples):
        return -100.0
    rms = float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))
    return max(-100.0, 20 * float(np.log10(max(rms, 1e-9) / 32_768)))


def split_words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text.strip())
