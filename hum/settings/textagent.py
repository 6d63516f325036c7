"""The AI's turns in texts, and their limits."""

from hum.settings.base import Common, setting


class TextAgentSettings(Common):
    """The AI's turns in conversations."""

    text_turn_look_seconds: float = setting(
        "HUM_TEXT_TURN_LOOK_SECONDS", 0.25, "seconds between looks for texts that the AI has to answer", gt=0, le=10
    )
    text_turn_seconds: float = setting(
        "HUM_TEXT_TURN_SECONDS",
        60.0,
        "seconds that the AI may take for one answer to a text, tools included",
        gt=0,
        le=150,
    )
    text_turn_attempts: int = setting(
        "HUM_TEXT_TURN_ATTEMPTS",
        3,
        "attempts at the model for one answer to a text; then a person gets the conversation",
        ge=1,
        le=8,
    )
    text_turn_stuck_seconds: float = setting(
        "HUM_TEXT_TURN_STUCK_SECONDS", 300.0, "seconds after which an answer that nobody works on is begun again", gt=0
    )
    text_turns_per_pair: int = setting(
        "HUM_TEXT_TURNS_PER_PAIR",
        200,
        "answers of the AI between two numbers in 24 hours; then a person gets the conversation",
        ge=1,
    )
    text_turns_per_organization: int = setting(
        "HUM_TEXT_TURNS_PER_ORGANIZATION", 5000, "an organization's answers of the AI to texts in 24 hours", ge=0
    )
    text_reply_segments: int = setting(
        "HUM_TEXT_REPLY_SEGMENTS", 11, "segments, as the carrier bills them, of one answer at most", ge=1, le=24
    )
    text_reply_tokens: int = setting(
        "HUM_TEXT_REPLY_TOKENS", 4000, "tokens that the model may write in one step of an answer to a text", ge=100
    )
    texts_per_call: int = setting("HUM_TEXTS_PER_CALL", 3, "texts that an agent may send from one call", ge=0)
