"""Tools answer from a state and change it; what a suite has no answer for is told, and what can't be meant is refused."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals import runner, scenario
from evals.scenario import BadSuite
from evals.world import MOST_REQUESTS, RunningWorld, World

WORLD = """\
state: {appointments: [], next: 7, slots: {tuesday: ["09:00"]}}
tools:
  find:
    - {when: {day: tuesday}, returns: {free: $state.slots.tuesday}}
    - {when: {day: {matches: "^sat"}}, returns: {free: []}, delay_ms: 300}
  book:
    - when: {day: Tuesday, time: "9 a.m."}
      fail: {status: 503, times: 1}
      append: {appointments: {id: $state.next, name: $args.name}}
      set: {next: 8, slots.tuesday: []}
      returns: {ok: true, request: $args}
"""
NINE = {"day": "tuesday", "time": "09:00", "name": "Anna"}


def running(text: str = WORLD) -> RunningWorld:
    return RunningWorld(World.model_validate(yaml.safe_load(text)))


def asked(world: RunningWorld, tool: str, arguments: Mapping[str, Any]) -> tuple[int, Any]:
    reply = world.answer(tool, arguments)
    return reply.status, reply.body


def test_a_tool_answers_by_its_arguments_and_changes_the_state() -> None:
    world = running()
    assert asked(world, "find", {"day": "Tuesday"}) == (200, {"free": ["09:00"]})
    assert world.answer("find", {"day": "Saturday"}).delay_ms == 300
    assert asked(world, "book", NINE)[0] == 503
    assert world.state["appointments"] == [], "what failed has no effect"
    assert asked(world, "book", NINE) == (200, {"ok": True, "request": NINE})
    assert world.state == {"appointments": [{"id": 7, "name": "Anna"}], "next": 8, "slots": {"tuesday": []}}
    assert asked(world, "find", {"day": "Tuesday"}) == (200, {"free": []})
    assert world.gaps == []


def test_calls_do_not_share_a_state() -> None:
    model = World.model_validate(yaml.safe_load(WORLD))
    first, second = RunningWorld(model), RunningWorld(model)
    for world in (first, first):
        world.answer("book", NINE)
    first.answer("find", {"day": "tuesday"}).body["free"].append("late")
    assert len(first.state["appointments"]) == 1
    assert second.state["appointments"] == []
    assert asked(second, "find", {"day": "tuesday"}) == (200, {"free": ["09:00"]})


@pytest.mark.parametrize(
    ("tool", "arguments", "gap"),
    [
        ("find", {"day": "Friday"}, "no answer of find to {'day': 'Friday'}"),
        ("cancel", {}, "no answer of cancel"),
        ("book", {"day": "Tuesday", "time": "9:00"}, "no 'name' when book answers"),
    ],
)
def test_what_has_no_answer_is_told(tool: str, arguments: dict[str, Any], gap: str) -> None:
    world = running(WORLD.replace("{status: 503, times: 1}", "null").replace("$args.name", "$args.name"))
    status, body = asked(world, tool, arguments)
    assert (status, len(world.gaps)) == (501, 1)
    assert gap in world.gaps[0]
    assert body == {"error": world.gaps[0]}


def test_an_agent_that_asks_for_ever_gets_no_more_answers() -> None:
    world = running()
    replies = [world.answer("find", {"day": "tuesday"}).status for _ in range(MOST_REQUESTS + 5)]
    assert replies == [200] * MOST_REQUESTS + [501] * 5
    assert len(world.gaps) == 1


def test_a_state_that_doubles_is_bounded() -> None:
    world = running("{state: {log: [abcdefgh]}, tools: {note: [{append: {log: $state.log}}]}}")
    statuses = [world.answer("note", {}).status for _ in range(40)]
    assert set(statuses) == {200, 501}
    assert world.gaps == ["the state has more than 200000 characters when note answers"]


FLOW = """\
flow: {name: Clinic}
tools:
  - {name: find, description: Find., url: "https://clinic.example/slots", query_json: {day: "{{ args.day }}"}}
  - {name: book, description: Book., method: POST, url: "https://clinic.example/book", body_json: {day: "{{ args.day }}"}}
"""
SUITE = """\
- name: books
  flow: flow.yaml
  facts:
    wish: {say: A cleaning., when: help you}
  expect:
    - tool: {name: book, args: {day: {matches: tue}}}
    - state: {appointments.0.id: 7}
  world:
    state: {appointments: [], next: 7}
    tools:
      find:
        - returns: []
      book:
        - when: {day: tuesday}
          append: {appointments: {id: 7}}
        - fail: {status: 503}
"""


def plan(folder: Path, suite: str = SUITE, flow: str = FLOW) -> None:
    (folder / "flow.yaml").write_text(flow)
    (folder / "s.yaml").write_text(suite)
    runner.plan(scenario.load([folder / "s.yaml"]), "", None, 1, None)


def test_a_world_that_fits_is_taken(tmp_path: Path) -> None:
    plan(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("appointments.0.id: 7}", "apointments.0.id: 7}", 7, "the world's state has no 'apointments'; it has appointments"),
        ("appointments.0.id: 7}", "appointments..id: 7}", 7, "is no path"),
        ("append: {appointments:", "append: {next:", 15, "'next' is no list"),
        ("append: {appointments:", "append: {bookings:", 15, "the world's state has no 'bookings'"),
        ("append: {appointments:", "set: {bookings.0:", 15, "the world's state has no 'bookings'"),
        ("{id: 7}", "$arguments", 15, "write $args, $args.NAME or $state.PATH"),
        ("returns: []", "returns: $state.free", 12, "the world's state has no 'free'"),
        ("append: ", "apend: ", 15, "unknown key 'apend'; do you mean 'append'?"),
        ("next: 7}\n    tools", "next: 2026-12-03}\n    tools", 9, "write a date or a time in quotes"),
        ("returns: []", "returns: [.nan]", 12, "a value is no JSON"),
        ("day: tuesday", "day: 2026-12-03", 14, "write a date or a time in quotes"),
        ("status: 503", "status: 200", 16, "greater than or equal to 400"),
        ("- when: {day: tuesday}\n          append", "- append", 15, "which is never given"),
        ("day: tuesday", "day: {matches: (}", 14, "is not a regular expression"),
        ("{matches: tue}", "{matches: '(a+)+'}", 6, "may take for ever"),
        ("    - tool: {name: book, args: {day: {matches: tue}}}\n    - state: {appointments.0.id: 7}", "    - state: {next: 7}", 1, "no expectation proves"),
        ("      find:", "      search:", 11, "the flow has no tool 'search'; it has find, book"),
        ("      find:\n        - returns: []\n", "", 10, "the world does not answer the flow's tool 'find'"),
        ("name: book,", "name: bok,", 6, "the flow has no tool 'bok'; do you mean 'book'?"),
        ("- tool: {name: book, args: {day: {matches: tue}}}", "- order: [find, end_cal]", 6, "do you mean 'end_call'?"),
    ],
)  # fmt: skip
def test_what_can_not_be_meant_is_refused(tmp_path: Path, old: str, new: str, line: int, sentence: str) -> None:
    assert old in SUITE
    with pytest.raises(BadSuite) as refused:
        plan(tmp_path, SUITE.replace(old, new, 1))
    assert re.match(rf"{re.escape(str(tmp_path))}/s\.yaml:{line}: ", str(refused.value)), refused.value
    assert sentence in str(refused.value)


def test_a_flow_with_tools_needs_a_world(tmp_path: Path) -> None:
    without = SUITE[: SUITE.index("  world:")].replace("    - state: {appointments.0.id: 7}\n", "")
    with pytest.raises(BadSuite, match=r"s\.yaml:1: the world does not answer the flow's tool 'find'"):
        plan(tmp_path, without)


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("name: book", "name: find", 4, "there is another tool 'find'"),
        ("name: book", "name: end_call", 4, "there is another tool 'end_call'"),
        ("name: book", "name: book it", 4, "a tool has a name"),
        ("https://clinic.example/book", "clinic.example/book", 4, "has no `url`"),
        ("https://clinic.example/book", "https://{{ args.host }}/", 4, "has no `url`"),
        ("method: POST", "headers_json: '{}'", 4, "is an object of texts"),
    ],
)
def test_a_bad_tool_is_refused(tmp_path: Path, old: str, new: str, line: int, sentence: str) -> None:
    with pytest.raises(BadSuite) as refused:
        plan(tmp_path, flow=FLOW.replace(old, new, 1))
    assert f"flow.yaml:{line}: " in str(refused.value)
    assert sentence in str(refused.value)
