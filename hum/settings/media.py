"""The settings of `hum media`."""

from pathlib import Path

from pydantic import field_validator

from hum.network import base_url
from hum.settings.base import CarrierSettings, ModelSettings, constant, setting
from hum.settings.browser import BrowserSettings
from hum.settings.recordings import StoringSettings


class MediaSettings(CarrierSettings, ModelSettings, StoringSettings, BrowserSettings):
    """`hum media`."""

    media_listen: str = setting(
        "HUM_MEDIA_LISTEN", "127.0.0.1:8081", "host:port on which media serves WebSockets; `fd:N`: socket N, inherited"
    )
    voice_url: str = setting(
        "HUM_VOICE_URL", "http://127.0.0.1:8082", "URL at which media reaches `hum voice`, which runs the cascades"
    )
    media_workers: int = setting(
        "HUM_MEDIA_WORKERS",
        1,
        "media processes that share the socket, one for each core that calls may take; `hum up`: 2 unless set",
        ge=1,
    )
    max_calls: int = setting("HUM_MAX_CALLS", 250, "calls that one process carries; further calls are refused", ge=1)
    max_lag_ms: float = constant(
        120.0,
        "new calls are refused if the event loop was later than this, in ms, once in the last second",
        gt=0,
    )
    max_late_ms: float = constant(
        3.0,
        "new calls are refused while the event loop is later than this, in ms, on the average of 3 s",
        gt=0,
    )
    loaded_share: float = constant(
        0.5,
        "the lateness of the event loop refuses calls only while the process uses this share of its core, or carries "
        "this share of HUM_MAX_CALLS",
        ge=0,
        le=1,
    )
    max_frame_bytes: int = constant(
        64 << 10,
        "bytes of the largest frame from the carrier; a larger one ends the stream",
        ge=1024,
    )
    drain_seconds: float = setting("HUM_DRAIN_SECONDS", 3600.0, "seconds that calls may continue after SIGTERM", ge=0)
    linger_seconds: float = constant(
        1.0,
        "seconds that whoever is connected already has for a last request during a drain",
        ge=0,
    )
    handover_calls: int = constant(
        5, "calls that are on their way to a successor at once: each is silent meanwhile", ge=1
    )
    handover_answer_ms: float = constant(
        1000.0,
        "milliseconds that a successor has to say that a call runs; then the call stays where it is",
        gt=0,
    )
    handover_seconds: float = constant(
        10.0,
        "seconds that a successor waits for an answer, and is waited for until it serves; and seconds without a call that "
        "moves, before those which can't move yet are left to drain in the process that has them",
        gt=0,
    )
    start_seconds: float = constant(
        2.0,
        "seconds that a connection has for its upgrade request, and then a stream for its `start`",
        gt=0,
    )
    max_waiting: int = constant(
        256,
        "how many connections without an upgrade request, and how many streams without a `start`, a process keeps; "
        "beyond that, the oldest is closed",
        ge=1,
    )
    min_free_bytes: int = constant(
        64 << 20,
        "new calls are refused while the spool's disk has less free space than this, in bytes",
        ge=0,
    )
    disk_check_seconds: float = constant(0.5, "seconds between checks that the spool's disk can be written", gt=0)
    max_unsaved_bytes: int = constant(
        64 << 20,
        "bytes of reports kept in memory while the disk is full and control unavailable; further reports are lost",
        ge=0,
    )
    keep_acknowledged_bytes: int = constant(16 << 20, "the most that is kept of these, in bytes", ge=0)
    session_seconds: float = constant(5.0, "seconds to wait for control to open a session", gt=0)
    dial_seconds: float = constant(
        3.0, "seconds to wait for the connection to the model, and then for a session on it", gt=0
    )
    model_ping_seconds: float = constant(
        5.0,
        "seconds without anything from the model before its connection is pinged, and to wait for the pong",
        gt=0,
    )
    model_patience_seconds: float = constant(
        8.0,
        "seconds that a call goes on without a model, with hold phrases, before it ends with an apology",
        gt=0,
    )
    pause_seconds: float = constant(
        120.0,
        "longest pause of a recording, in seconds, where the flow says nothing else; then it goes on",
        gt=0,
    )
    pause_keys_seconds: float = constant(
        5.0,
        "seconds after the last key before a recording that keys have paused goes on",
        gt=0,
    )
    model_losses_per_minute: int = constant(
        4,
        "model sessions that a call may lose within a minute; one more ends it with an apology",
        ge=0,
    )
    answer_seconds: float = constant(
        6.0,
        "seconds without an event of an answer before it counts as lost, and its model session with it",
        gt=0,
    )
    hold_after_ms: float = constant(
        2000.0,
        "milliseconds of silence before a waiting caller hears the hold phrase; twice as long before the next one",
        gt=0,
    )
    false_hear_ms: float = constant(
        1000.0,
        "milliseconds that an answer waits for a caller whom only HUM's own detector hears: a blip delays it by no more",
        ge=0,
    )
    open_turn_ms: float = constant(
        9000.0,
        "milliseconds that an answer waits for the model to end a turn in which HUM's own detector hears nobody any more",
        ge=0,
    )
    listen_hold_ms: float = constant(
        300.0,
        "milliseconds that a listener is behind the caller at least: where the agent was heard is known only afterwards",
        ge=0,
    )
    max_listeners: int = constant(50, "listeners to the calls of one process", ge=0)
    under_way_ms: float = constant(
        500.0,
        "milliseconds between reports of unfinished turns: at most this much of a sentence is lost when a media process dies",
        gt=0,
    )
    silent_seconds: float = constant(20.0, "seconds without a frame before a stream counts as lost", gt=0)
    model_retry_ms: float = constant(
        100.0,
        "milliseconds before the model is dialled again; doubles with each failure, up to a second",
        gt=0,
    )
    end_ack_seconds: float = constant(
        1.0,
        "seconds that a call which HUM ends waits for control's acknowledgement before it is closed",
        ge=0,
    )
    link_retry_ms: float = constant(
        250.0,
        "milliseconds before a lost link is first opened again; doubles with each attempt",
        gt=0,
    )
    link_beat_ms: float = constant(2_000.0, "how often a media process tells control that it lives", gt=0)
    filler_after_ms: float = constant(
        750.0,
        "milliseconds without an answer before one of the flow's fillers is played",
        gt=0,
    )
    voicemail_silence_seconds: float = constant(6.0, "seconds of silence after which a caller's message is over", gt=0)
    voicemail_max_seconds: float = constant(
        180.0,
        "seconds that a caller's message may last; noise on the line may be taken for a voice, so this ends it, too",
        gt=0,
        le=600,
    )
    digits_pause_ms: float = constant(
        1500.0,
        "milliseconds after a key, without another, that complete an entry on the keypad; `#` completes it at once",
        gt=0,
    )
    vad_confirm: bool = constant(True, "whether a second detector (Silero) must agree before a sound stops the agent")

    @field_validator("voice_url")
    @classmethod
    def _voice_http(cls, url: str) -> str:
        return base_url(url, "http", "https")

    @property
    def handover_path(self) -> Path:
        return self.home / "media.handover"

    @property
    def spool_dir(self) -> Path:
        return self.home / "spool"
