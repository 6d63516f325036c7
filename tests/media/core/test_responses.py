from media.core.responses import REFUSALS, ResponseSchedule


def story(*events: str, responses: ResponseSchedule | None = None, audible: bool = False) -> list[bool]:
    """For each event, whether a response.create is due after it."""
    responses = responses or ResponseSchedule()
    created = []
    for event in events:
        match event:
            case "loud" | "silent":
                audible = event == "loud"
            case "commit":
                responses.turn_committed()
            case "overlap" | "late overlap":
                responses.overlap_began(500 if "late" in event else 5_000)
            case "cut":
                responses.overlap_cut()
            case "taken back":
                responses.overlap_resumed()
            case "freely":
                responses.spoke_in_silence()
            case "done":
                responses.response_done(responses.response_id or "r")
            case "created":
                responses.response_created("r")
            case "lost":
                responses.session_lost()
        event_id = responses.create(audible)
        created.append(event_id is not None)
    return created


def count(*events: str) -> int:
    return sum(story(*events))


def test_a_turn_in_silence_is_answered_at_once() -> None:
    assert story("freely", "commit") == [False, True]


def test_never_a_second_while_one_is_active() -> None:
    assert story("commit", "commit", "created", "commit", "done") == [True, False, False, False, True]


def test_a_turn_over_the_agent_waits_for_silence() -> None:
    assert story("loud", "commit", "silent") == [False, False, True]


def test_a_cut_is_answered_when_the_cut_response_is_done() -> None:
    assert story("commit", "created", "loud", "overlap", "cut", "silent", "commit", "done")[-2:] == [False, True]


def test_a_nod_owes_nothing() -> None:
    assert count("loud", "overlap", "taken back", "commit", "silent") == 0


def test_a_nod_in_the_last_second_is_a_reply() -> None:
    assert count("loud", "late overlap", "taken back", "commit", "silent") == 1


def test_a_turn_that_ends_before_the_verdict_waits_for_it() -> None:
    assert count("loud", "overlap", "commit", "taken back", "silent") == 0
    assert count("loud", "overlap", "commit", "cut", "silent") == 1


def test_speaking_on_after_the_agent_ended_is_a_turn() -> None:
    assert count("loud", "overlap", "taken back", "silent", "freely", "commit") == 1


def test_the_turn_after_a_nod_is_answered() -> None:
    assert count("loud", "overlap", "taken back", "commit", "silent", "freely", "commit") == 1


def test_a_refusal_is_tried_again_a_few_times() -> None:
    responses = ResponseSchedule()
    responses.owe_response()
    for n in range(1, REFUSALS + 1):
        assert responses.create(False) == f"create_{n}"
        responses.refused("another")
        assert responses.create(False) is None
        assert not responses.failing
        responses.refused(f"create_{n}")
    assert responses.failing


def test_a_failed_answer_is_tried_again_a_few_times() -> None:
    responses = ResponseSchedule()
    responses.owe_response()
    for _ in range(REFUSALS):
        assert not responses.failing
        assert responses.create(False)
        responses.response_created("r")
        responses.response_done("r", failed=True)
    assert responses.failing


def test_another_session_owes_the_answer_and_has_tries_of_its_own() -> None:
    responses = ResponseSchedule()
    responses.owe_response()
    for n in range(1, REFUSALS + 1):
        responses.create(False)
        responses.refused(f"create_{n}")
    responses.session_lost()
    assert not responses.failing
    assert responses.create(False)


def test_an_answer_that_was_being_made_is_owed_by_the_next_session() -> None:
    assert story("commit", "created", "lost") == [True, False, True]


def test_a_backchannel_and_the_question_after_it() -> None:
    """The example of the theory of operation."""
    responses = ResponseSchedule()
    responses.owe_turn()
    assert responses.create(False) == "create_1"
    responses.response_created("resp_1")
    responses.response_done("resp_1")
    responses.overlap_began(3_000)
    assert not responses.turn_committed()
    assert not responses.overlap_resumed()
    assert responses.create(False) is None
    responses.spoke_in_silence()
    assert responses.turn_committed()
    assert responses.create(False) == "create_2"
    responses.response_created("resp_2")
    assert (responses.active, responses.owed) == (True, False)
    responses.response_done("resp_2")
    assert not responses.active and not responses.owed


def test_a_backchannel_in_the_last_second_is_a_turn_once_the_agent_has_finished() -> None:
    responses = ResponseSchedule()
    responses.overlap_began(800)
    assert not responses.turn_committed()
    assert responses.overlap_resumed()
    assert responses.create(True) is None and responses.create(False) == "create_1"
