from media.core.latency import Latency
from tests.support.present import present


def test_latency_is_measured_at_the_callers_edge_with_its_parts() -> None:
    latency = Latency()
    latency.turn_detected(5)  # nobody has spoken
    latency.caller_voiced(980, 1_030)
    latency.voice_sent(1_035)
    latency.caller_voiced(1_000, 1_050)
    latency.voice_sent(1_060)  # 10 ms ours
    latency.turn_detected(1_400)  # 340 ms the model's
    unsent = [latency.unsent]
    latency.response_requested(1_402)  # 2 ms ours
    latency.agent_heard("clip_1", False, 1_600)
    latency.first_delta(1_900)  # 498 ms the model's
    latency.first_delta(1_950)
    unsent.append(latency.unsent)
    latency.first_sent(1_903)  # 3 ms ours
    assert [*unsent, latency.unsent] == [False, True, False]
    latency.agent_heard("item_1", True, 1_950)
    measured = present(latency.measured("item_1"))
    assert (measured.total_ms, measured.first_sound_ms) == (950, 600)
    assert (measured.model_ms, measured.ours_ms) == (340 + 498, 10 + 2 + 3)
    assert latency.measured("item_1") is None


def test_a_turn_that_is_detected_while_its_last_voice_is_still_here_owes_nothing_for_it() -> None:
    latency = Latency()
    latency.caller_voiced(1_000, 1_050)
    latency.turn_detected(1_100)
    latency.response_requested(1_100)
    latency.first_delta(1_200)
    latency.first_sent(1_200)
    latency.agent_heard("item", True, 1_300)
    measured = present(latency.measured("item"))
    assert (measured.ours_ms, measured.model_ms) == (0, 50 + 100)
