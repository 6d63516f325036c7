"""Speed and injected faults of the stand-in."""

import msgspec


class LiveSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What nobody has published of a session in full duplex; times in ms."""

    turn_silence_ms: int = 500
    """The silence after which the model takes a caller's turn as over."""
    ignored_ms: int = 500
    """Speech over the model that is shorter than this does not stop it."""
    stop_ms: int = 400
    """From there until the model is silent."""
    commentary_ms: int = 850
    """From a commentary to its first sound."""
    words_late_ms: int = 600
    """From a caller's words to their text."""
    usage_seconds: float = 60
    """Between reports of usage."""
    holding: str = "One moment."
    """Said when a task is delegated; nothing more comes until it is answered."""
    paraphrase: str = ""
    """Said before each commentary, whose own words the model need not keep."""
    session_limit_s: float = 7_200
    """The service ends a session after two hours."""


class LiveFaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Faults of a session in full duplex."""

    never_starts: bool = False
    """`session.start` is never answered."""
    no_usage: bool = False
    """Usage is not reported before the end."""
    no_closed: bool = False
    """The connection ends without `session.closed`."""
    no_words: bool = False
    """No transcripts come."""
    noise: bool = False
    """Silence is not exact."""
    content_after_ms: int | None = None
    """The session is ended for its content after so much input."""


class StageSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Latencies of the requests of a cascade, in ms."""

    hearing_ms: float = 0
    """Of /audio/transcriptions."""
    first_word_ms: float = 0
    """Of /chat/completions, to its first word."""
    word_ms: float = 0
    """Between two words of /chat/completions."""
    speaking_ms: float = 0
    """Of /audio/speech."""


class StageFaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Faults of the requests of a cascade."""

    hearing_status: int | None = None
    """HTTP status instead of a transcription."""
    chat_status: int | None = None
    """HTTP status instead of a chat completion."""
    chat_ends_after: int | None = None
    """The stream of a chat completion ends after so many words, without its end."""
    speaking_status: int | None = None
    """HTTP status instead of speech."""
    models: list[str] | None = None
    """The models that have these faults; None: all."""


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Times are ms unless their names say otherwise; tests shorten them."""

    latency_ms: float = 200
    """From response.create to the first audio, once the caller's speech is transcribed."""
    speed: float = 2.0
    """Audio is sent at this multiple of real time."""
    chunk_ms: int = 100
    transcription_delay_ms: float = 300
    """From the commit, once its audio is transcribed, to the first transcription delta."""
    eagerness_ms: dict[str, int] = msgspec.field(
        default_factory=lambda: {"low": 1_200, "medium": 600, "high": 300, "auto": 600}
    )
    """Length of the silence that ends a turn for semantic_vad."""
    speech_dbfs: float = -40.0
    """A 20 ms frame at or above this level is speech."""
    word_lead_ms: int = 100
    """A word's text comes at least this long before its sound."""
    onset_ms: int = 60
    """Length of continuous speech that begins a turn."""
    padded_turns: bool = True
    """The times of a turn include the prefix and the silence around its speech, as documented for server_vad."""
    session_limit_s: float = 3_600
    """OpenAI ends a session after 60 minutes."""
    live: LiveSettings = msgspec.field(default_factory=LiveSettings)
    """Of sessions in full duplex."""
    stages: StageSettings = msgspec.field(default_factory=StageSettings)
    """Of a cascade's requests."""


class Faults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Injected faults.  A connection gets the faults set when it arrives; `times` limits how many connections do."""

    times: int | None = None
    """Number of connections that get the faults of the realtime socket; None for all."""
    refuse_status: int | None = None
    """HTTP status instead of the upgrade."""
    accept_after_ms: float = 0
    """Delay of the upgrade's response."""
    close_after_events: int | None = None
    """The connection breaks after this many server events."""
    close_after_chunks: int | None = None
    """The connection breaks after this many chunks of audio, instead of the next one."""
    close_after_ms: float | None = None
    close_code: int = 1011
    """The close code with which the connection breaks."""
    silent_after_events: int | None = None
    """After this many server events nothing more is sent; the connection stays open."""
    never_respond: bool = False
    """response.create is accepted and never answered."""
    never_transcribe: bool = False
    fail_transcription: bool = False
    first_delta_ms: float | None = None
    """Replaces the latency of every answer."""
    stall_after_chunks: int | None = None
    """After this many chunks an answer's audio pauses for `stall_ms`; 0 pauses it before the first chunk."""
    stall_ms: float = 0
    rest_status: int | None = None
    """HTTP status instead of a response of the REST API."""
    rest_times: int | None = None
    """Number of REST requests that get `rest_status`; None for all."""
    live: LiveFaults = msgspec.field(default_factory=LiveFaults)
    """Of sessions in full duplex."""
    stages: StageFaults = msgspec.field(default_factory=StageFaults)
    """Of a cascade's requests."""
