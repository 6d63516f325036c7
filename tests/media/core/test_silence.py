from media.core.silence import Due, Silence


def test_a_silent_caller_is_prompted_then_let_go() -> None:
    silence = Silence(idle_after_ms=100, prompts=2, max_call_ms=10_000)
    told = [(now, due) for now in range(0, 500, 10) if (due := silence.due(now))]
    assert told == [(100, Due.PROMPT), (200, Due.PROMPT), (300, Due.CLOSE_IDLE), (400, Due.CLOSE_IDLE)]


def test_signs_of_life_start_it_over() -> None:
    silence = Silence(idle_after_ms=100, prompts=1, max_call_ms=500)
    assert silence.due(100) is Due.PROMPT
    silence.caller_acts(150)
    silence.agent_speaks(200)
    assert silence.due(299) is None
    assert silence.due(300) is Due.PROMPT
    assert silence.due(500) is Due.CLOSE_TOO_LONG


def test_each_prompt_has_its_own_time() -> None:
    silence = Silence(idle_after_ms=80, prompts=3, max_call_ms=10_000, gaps_ms=(80, 40, 200))
    told = [(now, due) for now in range(0, 410, 10) if (due := silence.due(now))]
    assert told == [(80, Due.PROMPT), (120, Due.PROMPT), (320, Due.PROMPT), (400, Due.CLOSE_IDLE)]
    silence.caller_acts(410)
    assert silence.due(480) is None and silence.due(490) is Due.PROMPT
