"""What a caller wants, and what must come of it: the model of a scenario's YAML, and its refusals.

A refusal names file and line, and proposes what to write instead; nothing is started before all files were read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from evals import world, yamlfile
from evals.matching import PatternTooSlow
from evals.sameness import same
from evals.strict import Pattern, Strict, Wanted
from evals.world import Failing, World, WorldAnswer, look_up

MAX_FILE_BYTES = 1 << 20
SHOWN_REFUSALS = 50
#: Of all files together: more calls than in a month.
MOST_SCENARIOS = 2_000
#: Expectations that hold only if the agent has understood or done something.
POSITIVE = ("tool", "order", "state", "answer", "outcome", "transferred_to", "understood", "interruptions_cut")


#: What only calls have; a text is understood as it was written.
VOICE_ONLY = frozenset(
    {"outcome", "end_reason", "transferred_to", "understood", "interruptions_cut", "ledger_error_ms"}
)
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


class Interrupt(Strict):
    """The caller speaks over the agent's answer number `turn`, from 1, once it has been heard for `after_ms`, with words of their own."""

    turn: int = Field(ge=1, le=50)
    after_ms: int = Field(default=1500, ge=200, le=30_000)
    say: str = Field(default="Excuse me, one moment.", min_length=1, max_length=500)


class Persona(Strict):
    voice: Literal["en-GB", "en-US"] = "en-GB"
    level_db: float = Field(default=0.0, ge=-40, le=6)
    noise_dbfs: float | None = Field(default=None, ge=-80, le=-20)
    interrupts: tuple[Interrupt, ...] = Field(default=(), strict=False)
    patience_s: float = Field(default=12.0, ge=2, le=60)


class Fact(Strict):
    """What the caller says when the agent's question matches `when`."""

    say: str = Field(min_length=1, max_length=500)
    when: Pattern


class ToolExpectation(Strict):
    name: str
    args: Wanted = Field(default_factory=dict)
    times: int | None = Field(default=None, ge=1)


class AnswerExpectation(Strict):
    """What the caller heard after HUM has understood `to`, and before they went on."""

    to: Pattern
    says: Pattern


class Expectation(Strict):
    """One of these."""

    tool: ToolExpectation | None = None
    no_tool: str | None = None
    order: tuple[str, ...] | None = Field(default=None, min_length=2, strict=False)
    state: Wanted | None = Field(default=None, min_length=1)
    answer: AnswerExpectation | None = None
    outcome: str | None = None
    end_reason: str | None = None
    transferred_to: str | None = None
    understood: Pattern | None = None
    heard_words: Pattern | None = Field(default=None, alias="said")
    never_said: Pattern | None = None
    first_answer_p50_ms: Milliseconds | None = None
    first_answer_p95_ms: Milliseconds | None = None
    interruptions_cut: int | None = Field(default=None, ge=1)
    ledger_error_ms: Milliseconds | None = None
    turns_at_most: int | None = Field(default=None, ge=1)
    seconds_at_most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _is_one(self) -> "Expectation":
        if len(self.model_fields_set) != 1:
            raise ValueError("an expectation has one key; write each with a dash of its own")
        if self.wanted is None:
            raise ValueError(f"{self.name} has no value; write what is expected")
        return self

    @property
    def name(self) -> str:
        return type(self).model_fields[self._field].alias or self._field

    @property
    def wanted(self) -> Any:
        return getattr(self, self._field)

    @property
    def _field(self) -> str:
        (field,) = self.model_fields_set
        return field


class Passing(Strict):
    at_least: int = Field(ge=1)


class Scenario(Strict):
    name: str = Field(min_length=1, max_length=100)
    #: A file beside this one, with the flow as `POST /api/flows` takes it.
    flow: str
    channel: Literal["voice", "text"] = "voice"
    persona: Persona = Persona()
    brain: Literal["facts", "script"] = "facts"
    facts: dict[str, Fact] = Field(default_factory=dict)
    script: tuple[str, ...] = Field(default=(), strict=False)
    #: What the flow's HTTP tools answer; without it, the flow has none.
    world: World | None = None
    most_turns: int = Field(default=12, ge=1, le=50)
    most_seconds: int = Field(default=120, ge=10, le=600)
    expect: tuple[Expectation, ...] = Field(min_length=1, strict=False)
    runs: int = Field(default=3, ge=1, le=100)
    passes: Passing | None = Field(default=None, alias="pass")

    @model_validator(mode="after")
    def _is_possible(self) -> "Scenario":
        if not any(expectation.name in POSITIVE and not self._holds_before(expectation) for expectation in self.expect):
            raise ValueError(
                f"no expectation proves that the agent understood or did anything; add one of {', '.join(POSITIVE)}"
            )
        if self.channel == "text":
            if self.persona.model_fields_set:
                raise ValueError("a persona is heard, and not read; remove it, or `channel: text`")
            if spoken := [expectation.name for expectation in self.expect if expectation.name in VOICE_ONLY]:
                raise ValueError(f"texts have no {', '.join(spoken)}; expect an answer, a tool or a state")
        if self.at_least > self.runs:
            raise ValueError(f"{self.at_least} of {self.runs} runs can't pass; raise runs, or lower at_least")
        if not (self.facts if self.brain == "facts" else self.script):
            raise ValueError(f"the brain {self.brain!r} has nothing to say; write {self.brain}")
        return self

    def _holds_before(self, expectation: Expectation) -> bool:
        """Tell whether a state is wanted that is there before the call, so that it proves nothing."""
        return expectation.name == "state" and all(
            holds(self.world.state if self.world else {}, path, wanted) for path, wanted in expectation.wanted.items()
        )

    @property
    def at_least(self) -> int:
        return self.passes.at_least if self.passes else self.runs


def holds(state: Any, path: str, wanted: Any) -> bool:
    """Tell whether a member of the state is there and as wanted."""
    try:
        return same(wanted, look_up(state, path))
    except LookupError:
        return False


@dataclass(frozen=True, slots=True)
class Where:
    """A scenario's place in its file."""

    file: Path
    number: int
    lines: Mapping[yamlfile.Place, int]

    def at(self, *place: str | int) -> str:
        """Return FILE:LINE of a part of the scenario, or of the nearest part around it that stands there."""
        full: yamlfile.Place = (self.number, *place)
        while full and full not in self.lines:
            full = full[:-1]
        return f"{self.file}:{self.lines.get(full, 1)}"


@dataclass(frozen=True, slots=True)
class Suite:
    """Scenarios in the order of their files, each with the folder that its flow is in; `where` by the scenario's name."""

    scenarios: Sequence[tuple[Path, Scenario]]
    where: Mapping[str, Where]


class BadSuite(Exception):  # noqa: N818  (it says what is refused)
    """A file that can't be used; each line of the message is `FILE:LINE: what, and what to do`."""


def load(files: Sequence[Path]) -> Suite:
    """Read all files.  Raises BadSuite, with everything that is wrong in them."""
    found: list[tuple[Path, Scenario]] = []
    refusals: list[str] = []
    names: dict[str, Where] = {}
    for file in files:
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise BadSuite(f"{file}:1: larger than {MAX_FILE_BYTES >> 20} MiB; write several files")
            scenarios, lines = _parse(file, file.read_text())
        except (OSError, UnicodeDecodeError) as error:
            refusals.append(f"{file}:1: can't be read: {getattr(error, 'strerror', None) or error}")
            continue
        except BadSuite as refusal:
            refusals.append(str(refusal))
            continue
        for number, scenario in enumerate(scenarios):
            where = Where(file, number, lines)
            if scenario.name in names:
                first = names[scenario.name].at("name")
                refusals.append(f"{where.at('name')}: {scenario.name!r} is also the name in {first}; choose another")
            elif not (file.parent / scenario.flow).is_file():
                refusals.append(f"{where.at('flow')}: there is no file {file.parent / scenario.flow}")
            refusals += [f"{where.at(*place)}: {sentence}" for place, sentence in _world_refusals(scenario)]
            names.setdefault(scenario.name, where)
            found.append((file.parent, scenario))
        if len(found) > MOST_SCENARIOS:
            refusals.append(f"{file}:1: more than {MOST_SCENARIOS} scenarios together; choose some of the files")
            break
    if refusals:
        more = len(refusals) - SHOWN_REFUSALS
        raise BadSuite("\n".join(refusals[:SHOWN_REFUSALS] + ([f"and {more} more"] if more > 0 else [])))
    if not found:
        raise BadSuite(f"{files[0] if files else 'no file'}:1: there is no scenario")
    return Suite(found, names)


def _world_refusals(scenario: Scenario) -> Iterator[tuple[yamlfile.Place, str]]:
    if scenario.world:
        for place, sentence in world.refusals(scenario.world):
            yield ("world", *place), sentence
    for number, expectation in enumerate(scenario.expect):
        if expectation.name == "state":
            for path in expectation.wanted:
                if sentence := world.path_refusal(scenario.world or World(), path):
                    yield ("expect", number, "state", path), sentence


def _parse(file: Path, text: str) -> tuple[list[Scenario], Mapping[yamlfile.Place, int]]:
    try:
        values, lines = yamlfile.read(text)
    except yamlfile.BadYaml as error:
        raise BadSuite(f"{file}:{error.line}: {error}") from error
    if not isinstance(values, list):
        raise BadSuite(f"{file}:1: a file is a list of scenarios; begin each with `- name:`")
    scenarios, refusals = [], list[str]()
    for number, value in enumerate(values):
        try:
            scenarios.append(Scenario.model_validate(value))
        except ValidationError as error:
            refusals += [f"{file}:{line}: {sentence}" for line, sentence in _sentences(error, number, value, lines)]
        except PatternTooSlow as error:
            refusals.append(f"{file}:{lines[number,]}: {error}")
    if refusals:
        raise BadSuite("\n".join(refusals[: SHOWN_REFUSALS + 1]))
    return scenarios, lines


def _sentences(
    error: ValidationError, number: int, value: Any, lines: Mapping[yamlfile.Place, int]
) -> Iterator[tuple[int, str]]:
    for problem in error.errors():
        place: yamlfile.Place = (number, *problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1])
            near = get_close_matches(str(place[-1]), known, 1)
            proposal = f"do you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            sentence = f"unknown key {place[-1]!r}; {proposal}"
        else:
            what = ".".join(map(str, problem["loc"])) or (value.get("name", "") if isinstance(value, Mapping) else "")
            sentence = f"{what}: {problem['msg'].removeprefix('Value error, ')}"
        while place not in lines:
            place = place[:-1]
        yield lines[place], sentence


def _known_keys(place: Sequence[str | int]) -> list[str]:
    """Return the keys of the model that is at this place of a scenario."""
    models: dict[str, type[BaseModel]] = {
        "persona": Persona,
        "interrupts": Interrupt,
        "facts": Fact,
        "expect": Expectation,
        "tool": ToolExpectation,
        "answer": AnswerExpectation,
        "tools": WorldAnswer,
        "fail": Failing,
        "world": World,
        "pass": Passing,
    }
    nearest = next((models[part] for part in reversed(place) if isinstance(part, str) and part in models), Scenario)
    return [field.alias or name for name, field in nearest.model_fields.items()]
