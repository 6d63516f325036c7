"""How fast the stand-in is, and what goes wrong with it."""

import msgspec


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Times are ms unless they say otherwise; tests shrink them."""

    latency_ms: float = 200
    """From response.create to the first audio, once the caller has been understood."""
    speed: float = 2.0
    """Audio is sent at this multiple of real time."""
    chunk_ms: int = 100
    transcription_delay_ms: float = 300
    """From the commit (and from having understood it) to the first transcription delta."""
    eagerness_ms: dict[str, int] = msgspec.field(
        default_factory=lambda: {"low": 1_200, "medium": 600, "high": 300, "auto": 600}
    )
    """How long semantic_vad waits in silence before it takes a turn for finished."""
    speech_dbfs: float = -40.0
    """A frame of 20 ms is speech from this level on."""
    word_lead_ms: int = 100
    """A word's text comes this much before its sound, at least."""
    onset_ms: int = 60
    """So much speech in a row begins a turn."""
    padded_turns: bool = True
    """The times of a turn count the prefix and the silence around its speech, as documented of server_vad."""
    session_limit_s: float = 3_600
    """OpenAI ends a session after 60 minutes."""


class Faults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Things that go wrong.  A connection takes the faults that stand when it comes; `times` is for how many."""

    times: int | None = None
    """Connections that the faults of the realtime socket concern; None for all."""
    refuse_status: int | None = None
    """HTTP status instead of the upgrade."""
    close_after_events: int | None = None
    """The connection breaks after so many server events."""
    close_after_ms: float | None = None
    silent_after_events: int | None = None
    """After so many server events nothing more is sent, and the connection stays."""
    never_respond: bool = False
    """response.create is taken, and nothing comes of it."""
    never_transcribe: bool = False
    fail_transcription: bool = False
    first_delta_ms: float | None = None
    """Instead of the latency of every answer."""
    stall_after_chunks: int | None = None
    """After so many chunks of an answer's audio nothing comes of it for `stall_ms`; 0 stalls behind its announcement."""
    stall_ms: float = 0
    rest_status: int | None = None
    """HTTP status instead of an answer of the REST API."""
    rest_times: int | None = None
    """REST requests that `rest_status` concerns; None for all."""
