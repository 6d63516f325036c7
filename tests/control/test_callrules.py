"""The pure rules: hours, routing, endings, keys, cursors, words."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.base import hours, masks, paging, principal, prompting, wire
from control.base.businessprofile import BusinessProfile
from control.calls import callclock, callendings, instructions, routing
from control.calls import calllimits as calls
from control.calls.prompts import CallerPrompt, localized
from control.flows import flowchecks as flows
from control.identity import grants as identity
from control.livecall.callerid import is_vouched_for
from control.livecall.nextsteps import TakeMessage
from hum.contract.errors import Forbidden, InsufficientScope, InvalidCursor
from hum.contract.principal import Principal
from hum.v1 import calls_pb2, flows_pb2, runtime_pb2

OFFICE = '{"time_zone": "America/New_York", "weekly": {"mon": [["09:00", "17:00"]], "sun": [["22:00", "02:00"]]}, "holidays": ["2026-03-16"]}'
SHUT = '{"weekly": {}}'


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-02T13:59", False),  # Monday, 08:59 in winter
        ("2026-03-02T14:00", True),
        ("2026-03-02T21:59", True),
        ("2026-03-02T22:00", False),  # the closing minute is outside
        ("2026-03-09T13:00", True),  # clocks went forward the day before: 09:00 is 13:00Z now
        ("2026-03-09T12:59", False),
        ("2026-03-09T05:59", True),  # Sunday 22:00 to Monday 02:00, local
        ("2026-03-09T06:00", False),
        ("2026-03-16T14:00", False),  # a holiday
        ("2026-03-03T15:00", False),  # Tuesday has no hours
    ],
)
def test_hours_are_local_wall_time(moment: str, is_open: bool) -> None:
    assert hours.is_open(hours.parse(OFFICE, "UTC"), at(moment)) is is_open


def test_an_hour_that_happens_twice_is_open_twice() -> None:
    sunday = hours.parse('{"weekly": {"sun": [["01:00", "02:00"]]}}', "America/New_York")
    for moment in ("2026-11-01T05:30", "2026-11-01T06:30"):
        assert hours.is_open(sunday, at(moment))
    assert not hours.is_open(sunday, at("2026-11-01T07:30"))


def test_all_day_ends_at_midnight() -> None:
    whole = hours.parse('{"weekly": {"mon": [["00:00", "24:00"]]}}', "UTC")
    assert hours.is_open(whole, at("2026-03-02T00:00"))
    assert hours.is_open(whole, at("2026-03-02T23:59"))
    assert not hours.is_open(whole, at("2026-03-03T00:00"))


def facts(**changes: Any) -> routing.RoutingFacts:
    known: dict[str, Any] = {
        "blocked": False,
        "number_active": True,
        "definition": {},
        "business_hours_json": None,
        "time_zone": "UTC",
    }
    return routing.RoutingFacts(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, routing.Connect()),
        ({"blocked": True, "definition": None}, routing.Reject("blocked", "blocked")),
        ({"definition": None}, routing.Refuse(*localized(CallerPrompt.UNAVAILABLE, None), "failed", "no_flow")),
        ({"number_active": False}, routing.Refuse(*localized(CallerPrompt.UNAVAILABLE, None), "failed", "no_flow")),
        ({"is_within_plan": False}, routing.Refuse(*localized(CallerPrompt.UNAVAILABLE, None), "failed", "plan_limit")),
        (
            {"business_hours_json": SHUT},
            routing.Refuse(*localized(CallerPrompt.CLOSED, None), "completed", "after_hours"),
        ),
        ({"business_hours_json": OFFICE}, routing.Connect()),
        (
            {"business_hours_json": SHUT, "definition": {"language": "de-DE"}},
            routing.Refuse(*localized(CallerPrompt.CLOSED, "de-DE"), "completed", "after_hours"),
        ),
        (
            {"business_hours_json": SHUT, "definition": {"language": "pl", "after_hours_message": "Zamknięte."}},
            routing.Refuse("Zamknięte.", "pl", "completed", "after_hours"),
        ),
    ],
)
def test_routing(changes: dict[str, Any], expected: routing.Decision) -> None:
    assert routing.route(facts(**changes), at("2026-03-02T15:00")) == expected


@pytest.mark.parametrize(
    ("tags", "flow"),
    [
        ([], None),
        (["other"], None),
        (["vip"], "flow_v"),
        (["VIP"], "flow_v"),
        (["gold", "vip"], "flow_v"),  # the map's order
        (["other", "gold"], "flow_g"),
    ],
)
def test_the_first_member_of_the_map_that_is_a_tag_chooses(tags: list[str], flow: str | None) -> None:
    assert routing.route_tag('{"Vip": "flow_v", "gold": "flow_g"}', tags) == flow
    assert routing.route_tag("{}", tags) is None


@given(
    st.booleans(),
    st.booleans(),
    st.none() | st.fixed_dictionaries({}, optional={"language": st.sampled_from(["de", "fr-CA", "ja"])}),
    st.sampled_from([None, SHUT, OFFICE]),
    st.datetimes(timezones=st.just(UTC)),
)
def test_each_call_is_connected_or_told_why(
    blocked: bool, active: bool, definition: dict[str, str] | None, hours_json: str | None, now: datetime
) -> None:
    """Whatever is known of a call, it reaches an agent only with a flow, within its hours, and not from a blocked caller."""
    known = facts(blocked=blocked, number_active=active, definition=definition, business_hours_json=hours_json)
    match routing.route(known, now):
        case routing.Reject(status, reason):
            assert blocked and (status, reason) == ("blocked", "blocked")
        case routing.Connect():
            assert not blocked and active and definition is not None and routing.is_open(hours_json, "UTC", now)
        case routing.Refuse(text, language, status, reason):
            assert not blocked and text and language
            spoken = (definition or {}).get("language", "en")
            assert language.startswith(spoken[:2] if spoken != "ja" else "en")
            assert (status, reason) in {("failed", "no_flow"), ("completed", "after_hours")}
            assert (reason == "no_flow") is (definition is None or not active)


def test_a_sentence_names_the_language_it_is_in() -> None:
    assert localized(CallerPrompt.CLOSED, "de-AT")[1] == "de-AT"
    assert localized(CallerPrompt.CLOSED, "de-AT")[0].startswith("Vielen Dank")
    assert (
        localized(CallerPrompt.CLOSED, "ja")
        == localized(CallerPrompt.CLOSED, None)
        == localized(CallerPrompt.CLOSED, "en")
    )
    assert (localized(CallerPrompt.CLOSED, "es")[1], localized(CallerPrompt.CLOSED, None)[1]) == ("es-ES", "en-US")


def test_a_lost_stream_is_joined_once_more() -> None:
    assert callendings.after_stream("in_progress", callendings.StreamCounts(1, 1, 1), None) == routing.Connect()
    apology = routing.Refuse(*localized(CallerPrompt.APOLOGY, "fr"), "failed", "stream_lost")
    assert callendings.after_stream("in_progress", callendings.StreamCounts(3, 3, 3), "fr") == apology
    assert callendings.after_stream("in_progress", callendings.StreamCounts(1, 1, 1), "fr", full=True) == apology
    assert callendings.after_stream("completed", callendings.StreamCounts(1, 1, 1), None) is None


def test_a_mailbox_whose_stream_is_lost_is_followed_by_a_mailbox_as_often_as_any() -> None:
    message = TakeMessage("agent")
    assert callendings.after_stream("in_progress", callendings.StreamCounts(0, 0, 0), None, message) == message
    assert callendings.after_stream("in_progress", callendings.StreamCounts(1, 1, 1), None, message) == message
    apology = routing.Refuse(*localized(CallerPrompt.APOLOGY, "fr"), "failed", "stream_lost")
    assert callendings.after_stream("in_progress", callendings.StreamCounts(3, 3, 3), "fr", message) == apology
    assert (
        callendings.after_stream("in_progress", callendings.StreamCounts(1, 1, 1), "fr", message, full=True) == apology
    )
    assert callendings.after_stream("completed", callendings.StreamCounts(1, 1, 1), None, message) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, TakeMessage("after_hours")),
        ({"blocked": True}, "blocked"),
        ({"number_active": False}, "no_flow"),
    ],
)
def test_after_hours_a_flow_with_a_mailbox_takes_messages(changes: dict[str, Any], expected: object) -> None:
    closed = {"definition": {"voicemail_enabled": True}, "business_hours_json": SHUT}
    decision = routing.route(facts(**closed | changes), at("2026-03-02T15:00"))
    assert decision == expected or getattr(decision, "reason", None) == expected


def test_a_stream_that_nobody_takes_is_offered_a_few_times() -> None:
    busy = routing.Refuse(*localized(CallerPrompt.BUSY, "it"), "failed", "no_capacity")
    for offered in range(1, callendings.MAX_OFFERS):
        assert callendings.after_stream("ringing", callendings.StreamCounts(offered, 0, 0), "it") == routing.Connect()
    assert callendings.after_stream("ringing", callendings.StreamCounts(callendings.MAX_OFFERS, 0, 0), "it") == busy
    assert callendings.after_stream("ringing", callendings.StreamCounts(1, 0, 0), "it", full=True) == busy


@pytest.mark.parametrize(
    ("joined", "word", "expected"),
    [
        (True, "completed", ("completed", "stream_lost")),
        (False, "completed", ("canceled", "caller")),
        (False, "no-answer", ("no_answer", "caller")),
        (True, "in-progress", None),
        (False, "ringing", None),
        (True, None, ("failed", "stream_lost")),
        (False, None, ("failed", "no_stream")),
    ],
)
def test_the_carrier_tells_what_became_of_a_lost_call(joined: bool, word: str | None, expected: object) -> None:
    at_once, later = (
        callendings.orphan_ending(joined=joined, was_answered=True, carrier_status=word, is_long_lost=long)
        for long in (False, True)
    )
    assert later == expected
    assert at_once == (None if joined else expected), "who had it may still report why it ended"


def test_a_carrier_that_is_silent_is_waited_for_and_not_for_ever() -> None:
    assert callendings.orphan_ending(joined=True, was_answered=False, carrier_status=None, is_long_lost=False) is None
    lost = callendings.orphan_ending(joined=True, was_answered=False, carrier_status=None, is_long_lost=True)
    assert lost == ("failed", "stream_lost")


def test_a_later_stream_counts_on() -> None:
    turn = runtime_pb2.Report(turn=calls_pb2.Turn(seq=2, start_ms=100, end_ms=300))
    assert callclock.placed_in_call(turn, 1, 0) == turn
    placed = callclock.placed_in_call(turn, 2, 60_000).turn
    assert (placed.seq, placed.start_ms, placed.end_ms) == (100_002, 60_100, 60_300)
    assert (turn.turn.seq, turn.turn.start_ms) == (2, 100), "the report itself is unchanged"
    refused = runtime_pb2.Report(refused_onset=calls_pb2.RefusedOnset(at_ms=5, until_ms=25))
    placed_refusal = callclock.placed_in_call(refused, 2, 1000).refused_onset
    assert (placed_refusal.at_ms, placed_refusal.until_ms) == (1005, 1025)
    cut = runtime_pb2.Report(interruption=calls_pb2.Interruption(at_ms=5, turn_seq=1, decided_ms=400))
    placed_cut = callclock.placed_in_call(cut, 2, 1000).interruption
    assert (placed_cut.at_ms, placed_cut.turn_seq, placed_cut.decided_ms) == (1005, 100_001, 1400)
    absurd = runtime_pb2.Report(turn=calls_pb2.Turn(seq=1, start_ms=5, end_ms=callclock.LATEST_MS))
    assert callclock.placed_in_call(absurd, 2, 1000).turn.end_ms == callclock.LATEST_MS
    late = runtime_pb2.Report(latency=calls_pb2.TurnLatency(turn_seq=3))
    assert callclock.placed_in_call(late, 3, 1000).latency.turn_seq == 200_003


def test_the_agent_knows_who_is_calling() -> None:
    flow = {"system_prompt": "Be kind.", "language": "de"}
    who = prompting.caller_context({"name": "Ada", "phone": None})
    told = instructions.instructions(flow, BusinessProfile("Clinic", "Europe/Berlin"), who, at("2026-07-01T10:00"))
    assert told.startswith("Be kind.")
    assert "# Caller Context\n- name: Ada" in told
    assert "12:00 (Europe/Berlin)" in told
    nobody = prompting.caller_context({"name": None})
    told = instructions.instructions({}, BusinessProfile("Clinic", "UTC"), nobody, at("2026-07-01T10:00"))
    assert "Caller Context" not in told and "About the business" not in told and "the phone of Clinic" in told


@given(st.lists(st.integers(0, 10_000), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[int], share: float) -> None:
    found = calls.percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_a_flow_is_completed() -> None:
    full = flows.complete(flows_pb2.Flow(channel=flows_pb2.CHANNEL_SMS, announce_recording=True))
    assert (full.kind, full.trigger_type, full.recording_enabled) == (
        flows_pb2.FLOW_KIND_INBOUND,
        flows_pb2.TRIGGER_TYPE_MESSAGE,
        True,
    )
    assert flows.complete(flows_pb2.Flow(recording_enabled=False, announce_recording=True)).recording_enabled is False
    assert len(flows.copy_name("x" * 120)) == 120


def test_clips_of_the_start_come_first() -> None:
    kinds = [kind for kind, _ in flows.clip_texts({"greeting": " Hi ", "announce_recording": True})]
    assert kinds == ["announcement", "greeting", "resumed", "hold", "goodbye", "apology", "limit", "idle"]
    assert flows.clip_texts({"greeting": "  "})[0][0] == "resumed"
    own = dict(
        flows.clip_texts({"language": "de-CH", "goodbye_message": "Ade.", "idle_prompts_json": '{"8": "Hallo?"}'})
    )
    assert (own["goodbye"], own["idle"], own["hold"]) == ("Ade.", "Hallo?", "Einen Moment, bitte.")
    assert "idle" not in dict(flows.clip_texts({"idle_prompts_json": "{}"}))
    phrases = {"filler_phrases": ["Let me see.", " Let me see. ", "  ", "One second."]}
    assert flows.clip_texts(phrases)[-2:] == [("filler", "Let me see."), ("filler", "One second.")]


def test_keys_are_at_most_their_makers() -> None:
    def maker(role: str | None, *scopes: str, site_admin: bool = False) -> Principal:
        """A person without scopes, else a key."""
        id = UUID(int=1)
        return Principal(id, role, scopes, id if scopes else None, None if scopes else id, id, "maker", site_admin)

    assert identity.grantable(maker("admin"), "admin", []) == ["*"]
    assert identity.grantable(maker("admin", "flows:write"), "viewer", ["flows:read"]) == ["flows:read"]
    for role in ("operator", None):
        with pytest.raises(Forbidden):
            identity.grantable(maker(role), "admin", [])
    for scopes in (["calls:read"], ["*"], []):
        with pytest.raises(InsufficientScope):
            identity.grantable(maker("admin", "flows:write"), "viewer", scopes)
    assert identity.grantable(maker("admin", site_admin=True), "admin", ["site:admin"]) == ["site:admin"]
    with pytest.raises(Forbidden):
        identity.grantable(maker("admin"), "admin", ["site:admin"])
    with pytest.raises(InsufficientScope):  # `*` does not include the deployment's own scope
        identity.grantable(maker("admin", "*", site_admin=True), "admin", ["site:admin"])


def test_writing_includes_reading() -> None:
    assert principal.has_scope(("flows:write",), "flows:read")
    assert not principal.has_scope(("flows:read",), "flows:write")
    assert not principal.has_scope(("flows:write",), "calls:read")


CURSORS = paging.Cursors(b"k" * 32)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.integers(-(2**62), 2**62))
def test_a_cursor_comes_back_to_the_microsecond(moment: datetime, id: UUID, number: int) -> None:
    request = calls_pb2.ListCallsRequest(q="x")
    request.cursor = CURSORS.make(request, moment, id, number)
    assert CURSORS.read(request) == [moment, id, number]


@given(st.text(max_size=80))
def test_no_text_is_a_cursor_by_chance(text: str) -> None:
    request = calls_pb2.ListCallsRequest(cursor=text)
    if not text:
        assert CURSORS.read(request) is None
        return
    with pytest.raises(InvalidCursor):
        CURSORS.read(request)


def test_a_cursor_belongs_to_its_list_and_filter() -> None:
    made = CURSORS.make(calls_pb2.ListCallsRequest(q="x", limit=5), UUID(int=1))
    assert CURSORS.read(calls_pb2.ListCallsRequest(q="x", limit=9, cursor=made)) == [UUID(int=1)]
    for other in (
        calls_pb2.ListCallsRequest(q="y", cursor=made),
        flows_pb2.ListFlowsRequest(cursor=made),
        calls_pb2.ListCallsRequest(q="x", cursor=made[:-4] + "AAAA"),
    ):
        with pytest.raises(InvalidCursor):
            CURSORS.read(other)
    with pytest.raises(InvalidCursor):
        paging.Cursors(b"other key" * 4).read(calls_pb2.ListCallsRequest(q="x", cursor=made))


@pytest.mark.parametrize(
    ("answered", "left"),
    [(None, 90), ("2026-03-02T12:00", 90), ("2026-03-02T11:59", 30), ("2026-03-02T11:00", 1), ("2026-03-02T12:01", 90)],
)
def test_a_calls_longest_time_is_counted_from_its_answer(answered: str | None, left: int) -> None:
    assert callclock.seconds_left(90, at(answered) if answered else None, at("2026-03-02T12:00")) == left


def test_words_and_enums() -> None:
    assert wire.word(calls_pb2.CallStatus, calls_pb2.CALL_STATUS_IN_PROGRESS) == "in_progress"
    assert wire.value(calls_pb2.CallStatus, "in_progress") == calls_pb2.CALL_STATUS_IN_PROGRESS
    assert wire.word(calls_pb2.CallStatus, 0) is None
    assert wire.value(calls_pb2.CallStatus, None) == 0


def test_masks() -> None:
    before = flows_pb2.Flow(name="a", greeting="g", filler_phrases=["x"], voicemail_enabled=True)
    change = flows_pb2.Flow(name="b", filler_phrases=["y", "z"])
    after = masks.masked(before, change, ["name", "greeting", "filler_phrases", "voicemail_enabled"])
    assert after == flows_pb2.Flow(name="b", filler_phrases=["y", "z"])
    assert masks.masked(before, flows_pb2.Flow(name="b"), []) == flows_pb2.Flow(
        name="b", greeting="g", filler_phrases=["x"], voicemail_enabled=True
    )


@pytest.mark.parametrize(
    ("verification", "direction", "from_e164", "to_e164", "is_told"),
    [
        ("passed", "inbound", "+13175550199", "+13175550100", True),
        ("failed", "inbound", "+4930901820", "+4930901821", False),
        (None, "inbound", "+13175550199", "+13175550100", False),  # Attestation C, or none.
        (None, "inbound", "+4930901820", "+13175550100", False),  # A carrier of the called country could have vouched.
        (
            None,
            "inbound",
            "+13175550199",
            "+4930901821",
            False,
        ),  # An American number that no American carrier vouches for.
        (None, "inbound", "+4930901820", "+4930901821", True),
        (None, "inbound", "browser", "", True),
        (None, "outbound", "+13175550100", "+13175550199", True),
    ],
)
def test_who_is_vouched_for(
    verification: str | None, direction: str, from_e164: str, to_e164: str, is_told: bool
) -> None:
    assert is_vouched_for(verification, direction, from_e164, to_e164) is is_told
