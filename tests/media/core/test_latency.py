from media.core.latency import Latency


def test_latency_is_measured_at_the_callers_edge_with_its_parts():
    latency = Latency()
    latency.turn_detected(5)  # nobody has spoken
    latency.caller_voiced(1_000)
    latency.turn_detected(1_400)
    latency.asked(1_402)
    latency.agent_heard("clip_1", False, 1_600)
    latency.first_delta(1_900)
    latency.first_delta(1_950)
    latency.first_sent(1_903)
    latency.agent_heard("item_1", True, 1_950)
    measured = latency.measured("item_1")
    assert (measured.total_ms, measured.first_sound_ms, measured.endpoint_ms) == (950, 600, 400)
    assert (measured.model_ms, measured.ours_ms) == (498, 5)
    assert latency.measured("item_1") is None
