from media.core.untranscribed import Untranscribed


def test_the_voice_of_turns_without_a_transcript_is_counted() -> None:
    untranscribed = Untranscribed()
    assert untranscribed.ms == 0
    for turn_id, frames in (("u1", 3), ("u2", 5), ("u3", 7)):
        untranscribed.turn_began(turn_id)
        for _ in range(frames):
            untranscribed.voiced()
    assert untranscribed.ms == 300
    untranscribed.transcribed("u2")
    untranscribed.transcribed("u2")
    assert untranscribed.ms == 200
