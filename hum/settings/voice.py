"""The settings of `hum voice`."""

from hum.settings.base import CascadeSettings, constant, setting


class VoiceSettings(CascadeSettings):
    """`hum voice`."""

    voice_listen: str = setting(
        "HUM_VOICE_LISTEN",
        "127.0.0.1:8082",
        "host:port on which `hum voice` serves media; `fd:N`: socket N, inherited",
    )
    drain_seconds: float = setting("HUM_DRAIN_SECONDS", 3600.0, "seconds that calls may continue after SIGTERM", ge=0)
    voice_sessions: int = constant(
        100, "sessions of one process with media; further ones are answered 503 until one ends", ge=1
    )
    voice_first_seconds: float = constant(
        4.0, "seconds that a stage of a cascade has for its first bytes before the next one is asked", gt=0
    )
    voice_stall_seconds: float = constant(4.0, "seconds without a byte after which an answer counts as broken", gt=0)
    voice_hearing_seconds: float = constant(5.0, "seconds that the recognition of a turn may take", gt=0)
