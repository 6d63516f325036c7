"""The world that an agent's tools act in: a state, and for each tool what it answers and how it changes the state.  Pure.

A path names a member of the state, `appointments.0.name`.  A text that is `$args`, `$args.NAME` or `$state.PATH` and nothing else becomes
that value.  The first answer of a tool whose `when` fits the request's arguments is given; its effects come after it has not failed.

Example: `book: [{append: {appointments: $args}, returns: {ok: true}}]` turns a request with {"day": "Tuesday"} into a state with one
appointment.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from evals.matching import PatternTooSlow
from evals.sameness import same
from evals.strict import Plain, PlainObject, Strict, Wanted

#: Of one call; an agent that asks for ever gets no more answers.
MOST_REQUESTS = 300
#: As JSON; a state that is appended to itself doubles.
MOST_STATE_CHARS = 200_000
_PATH = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_VALUE = re.compile(r"\$(?P<source>[A-Za-z]\w*)(?:\.(?P<path>.*))?", re.DOTALL)
_SOURCES = ("args", "state")


class Failing(Strict):
    """An HTTP status instead of the answer, the first `times` times that the answer would be given; always without it."""

    status: int = Field(default=503, ge=400, le=599)
    times: int | None = Field(default=None, ge=1)


class WorldAnswer(Strict):
    """What a tool answers to arguments that fit `when`, and what it changes."""

    when: Wanted = Field(default_factory=dict)
    returns: Plain = None
    #: Values by path.
    sets: PlainObject = Field(default_factory=dict, alias="set")
    #: Items by the path of a list.
    append: PlainObject = Field(default_factory=dict)
    fail: Failing | None = None
    delay_ms: int = Field(default=0, ge=0, le=20_000)


class World(Strict):
    state: PlainObject = Field(default_factory=dict)
    tools: dict[str, list[WorldAnswer]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorldReply:
    """An HTTP answer, and how long it takes."""

    status: int
    body: Any
    delay_ms: int = 0


@dataclass(slots=True)
class RunningWorld:
    """The world of one call."""

    world: World
    #: What the suite has no answer for.
    gaps: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(init=False)
    _uses: Counter[tuple[str, int]] = field(default_factory=Counter)
    _requests: int = 0

    def __post_init__(self) -> None:
        self.state = deepcopy(self.world.state)

    def answer(self, tool: str, arguments: Mapping[str, Any]) -> WorldReply:
        """Answer a request, and change the state."""
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            return self._gap(f"more than {MOST_REQUESTS} requests of tools in one call")
        answers = self.world.tools.get(tool, [])
        try:
            number = next((index for index, each in enumerate(answers) if same(each.when, arguments)), None)
        except PatternTooSlow as error:
            return self._gap(str(error))
        if number is None:
            return self._gap(f"the world has no answer of {tool} to {str(dict(arguments))[:300]}")
        chosen = answers[number]
        self._uses[tool, number] += 1
        if chosen.fail and (chosen.fail.times is None or self._uses[tool, number] <= chosen.fail.times):
            return WorldReply(chosen.fail.status, {"error": "unavailable"}, chosen.delay_ms)
        try:
            # All effects see the state before, and all or none have an effect.
            sets, items = self._filled(chosen.sets, arguments), self._filled(chosen.append, arguments)
            state = deepcopy(self.state)
            for path, value in sets.items():
                _put(state, path, value)
            for path, value in items.items():
                _list_at(state, path).append(value)
            if len(json.dumps(state)) > MOST_STATE_CHARS:
                return self._gap(f"the state has more than {MOST_STATE_CHARS} characters when {tool} answers")
            self.state = state
            return WorldReply(200, self._filled(chosen.returns, arguments), chosen.delay_ms)
        except LookupError as error:
            return self._gap(f"the state has no {error.args[0]!r} when {tool} answers")

    def _gap(self, sentence: str) -> WorldReply:
        if sentence not in self.gaps:
            self.gaps.append(sentence)
        return WorldReply(501, {"error": sentence})

    def _filled(self, value: Any, arguments: Mapping[str, Any]) -> Any:
        match value:
            case str() if match := _VALUE.fullmatch(value):
                whole = dict(arguments) if match["source"] == "args" else self.state
                return deepcopy(look_up(whole, match["path"]) if match["path"] else whole)
            case dict():
                return {name: self._filled(member, arguments) for name, member in value.items()}
            case list():
                return [self._filled(item, arguments) for item in value]
            case _:
                return value


def look_up(state: Any, path: str) -> Any:
    """Return a member of the state.  Raises LookupError with the path."""
    for part in path.split("."):
        if isinstance(state, Mapping) and part in state:
            state = state[part]
        elif isinstance(state, list) and part.isdecimal() and int(part) < len(state):
            state = state[int(part)]
        else:
            raise LookupError(path)
    return state


def _put(state: Any, path: str, value: Any) -> None:
    parent_path, _, name = path.rpartition(".")
    parent = look_up(state, parent_path) if parent_path else state
    if isinstance(parent, dict):
        parent[name] = value
    elif isinstance(parent, list) and name.isdecimal() and int(name) < len(parent):
        parent[int(name)] = value
    else:
        raise LookupError(path)


def _list_at(state: Any, path: str) -> list[Any]:
    value = look_up(state, path)
    if isinstance(value, list):
        return value
    raise LookupError(path)


def refusals(world: World) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what can't be meant: its place in the world, and a sentence."""
    for tool, answers in world.tools.items():
        for number, answer in enumerate(answers):
            place = ("tools", tool, number)
            if number and any(not each.when for each in answers[:number]):
                yield place, f"an answer of {tool} without `when` is before this one, which is never given"
            for path in answer.append:
                if (sentence := path_refusal(world, path)) or (sentence := _list_refusal(world, path)):
                    yield (*place, "append", path), sentence
            for path in answer.sets:
                if sentence := path_refusal(world, path):
                    yield (*place, "set", path), sentence
            for key, value in (("returns", answer.returns), ("set", answer.sets), ("append", answer.append)):
                for sentence in _value_refusals(world, value):
                    yield (*place, key), sentence


def path_refusal(world: World, path: str) -> str:
    """Return why a path can't be a member of the world's state, or ""."""
    if not _PATH.fullmatch(path):
        return f"{path!r} is no path; write names and numbers with points between, such as appointments.0.name"
    first = path.partition(".")[0]
    if first not in world.state:
        return f"the world's state has no {first!r}; it has {', '.join(world.state) or 'nothing'}"
    return ""


def _list_refusal(world: World, path: str) -> str:
    try:
        value = look_up(world.state, path)
    except LookupError:
        return ""
    return "" if isinstance(value, list) else f"{path!r} is no list in the world's state; write `{path}: []` there"


def _value_refusals(world: World, value: Any) -> Iterator[str]:
    match value:
        case str() if match := _VALUE.fullmatch(value):
            if match["source"] not in _SOURCES:
                yield f"{value!r} is no value; write $args, $args.NAME or $state.PATH"
            elif match["source"] == "state" and match["path"] and (sentence := path_refusal(world, match["path"])):
                yield sentence
        case dict():
            for member in value.values():
                yield from _value_refusals(world, member)
        case list():
            for item in value:
                yield from _value_refusals(world, item)
