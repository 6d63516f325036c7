from media.core.idletimer import Due, IdleTimer


def test_a_silent_caller_is_prompted_then_let_go() -> None:
    idle_timer = IdleTimer(idle_after_ms=100, prompts=2, max_call_ms=10_000)
    told = [(now, due) for now in range(0, 500, 10) if (due := idle_timer.due(now))]
    assert told == [(100, Due.PROMPT), (200, Due.PROMPT), (300, Due.CLOSE_IDLE), (400, Due.CLOSE_IDLE)]


def test_signs_of_life_start_it_over() -> None:
    idle_timer = IdleTimer(idle_after_ms=100, prompts=1, max_call_ms=500)
    assert idle_timer.due(100) is Due.PROMPT
    idle_timer.caller_acts(150)
    idle_timer.agent_speaks(200)
    assert idle_timer.due(299) is None
    assert idle_timer.due(300) is Due.PROMPT
    assert idle_timer.due(500) is Due.CLOSE_TOO_LONG


def test_each_prompt_has_its_own_time() -> None:
    idle_timer = IdleTimer(idle_after_ms=80, prompts=3, max_call_ms=10_000, gaps_ms=(80, 40, 200))
    told = [(now, due) for now in range(0, 410, 10) if (due := idle_timer.due(now))]
    assert told == [(80, Due.PROMPT), (120, Due.PROMPT), (320, Due.PROMPT), (400, Due.CLOSE_IDLE)]
    idle_timer.caller_acts(410)
    assert idle_timer.due(480) is None and idle_timer.due(490) is Due.PROMPT
