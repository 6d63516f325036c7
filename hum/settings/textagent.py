"""The AI's turns in texts, and their limits."""

from hum.settings.base import Common, constant


class TextAgentSettings(Common):
    """The AI's turns in conversations."""

    text_turn_look_seconds: float = constant(
        0.25, "seconds between looks for texts that the AI has to answer", gt=0, le=10
    )
    text_reply_segments: int = constant(11, "segments, as the carrier bills them, of one answer at most", ge=1, le=24)
