"""The gate against voices in the caller's room: what it takes for background, and whom it lets through."""

import pytest

from media.core.background import (
    BACKGROUND_BLOCKS,
    BLOCK_FRAMES,
    BLOCKS,
    LOUD_FRAMES,
    LOUDEST_FRAMES,
    NEAR_DB,
    TURN_FRAMES,
    TURNS,
    Background,
)

CALLER_DB, TELEVISION_DB, NOISE_DB = -20.0, -40.0, -70.0


def turn(background: Background, level_db: float = CALLER_DB, frames: int = 2 * TURN_FRAMES) -> None:
    for _ in range(frames):
        background.turn_frame(level_db)


def over_the_agent(background: Background, blocks: int, level_db: float, loud: int = BLOCK_FRAMES) -> None:
    """Blocks of the agent's speech, in each of which so many frames of the line are loud."""
    for _ in range(blocks):
        for n in range(BLOCK_FRAMES):
            background.frame(level_db if n < loud else NOISE_DB, loud=n < loud)


@pytest.fixture
def television() -> Background:
    """A caller who has said something, and then a television that went on while the agent spoke."""
    background = Background()
    turn(background)
    over_the_agent(background, BACKGROUND_BLOCKS, TELEVISION_DB)
    return background


def test_a_television_no_longer_stops_the_agent_and_the_caller_does(television: Background) -> None:
    assert not television.passes(TELEVISION_DB)
    assert not television.passes(CALLER_DB - NEAR_DB - 0.1)
    assert television.passes(CALLER_DB - NEAR_DB)


def test_before_the_caller_has_spoken_everything_passes() -> None:
    background = Background()
    over_the_agent(background, BLOCKS, TELEVISION_DB)
    assert background.passes(TELEVISION_DB)


def test_a_soft_caller_on_a_quiet_line_passes() -> None:
    """A soft word or two in seconds of silence are no background."""
    background = Background()
    turn(background)
    for _ in range(4):
        over_the_agent(background, BACKGROUND_BLOCKS - 1, TELEVISION_DB)
        over_the_agent(background, BLOCKS, NOISE_DB, loud=0)
    over_the_agent(background, BLOCKS, TELEVISION_DB, loud=LOUD_FRAMES - 1)
    assert background.passes(TELEVISION_DB)


def test_once_the_television_is_off_a_soft_caller_passes(television: Background) -> None:
    over_the_agent(television, BLOCKS - BACKGROUND_BLOCKS, NOISE_DB, loud=0)
    assert not television.passes(TELEVISION_DB)
    over_the_agent(television, 1, NOISE_DB, loud=0)
    assert television.passes(TELEVISION_DB)


def test_the_caller_over_a_television_is_no_quiet(television: Background) -> None:
    over_the_agent(television, 2 * BLOCKS, CALLER_DB)
    assert not television.passes(TELEVISION_DB)


def test_a_telephone_handed_to_somebody_softer_is_followed(television: Background) -> None:
    for _ in range(TURNS - 1):
        turn(television, CALLER_DB - 10)
        over_the_agent(television, 1, TELEVISION_DB)
    assert not television.passes(CALLER_DB - 10)
    turn(television, CALLER_DB - 10)
    over_the_agent(television, 1, TELEVISION_DB)
    assert television.passes(CALLER_DB - 10) and not television.passes(TELEVISION_DB)


def test_gaps_in_the_agents_speech_are_no_turns(television: Background) -> None:
    for _ in range(2 * TURNS):
        turn(television, TELEVISION_DB, TURN_FRAMES - 1)
        over_the_agent(television, 1, TELEVISION_DB)
    assert not television.passes(TELEVISION_DB)


def test_a_knock_is_not_the_callers_level() -> None:
    background = Background()
    turn(background)
    turn(background, -3.0, LOUDEST_FRAMES - 1)
    over_the_agent(background, BACKGROUND_BLOCKS, TELEVISION_DB)
    assert background.passes(CALLER_DB - NEAR_DB)
