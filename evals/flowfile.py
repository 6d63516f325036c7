"""A flow's file: the flow and its HTTP tools as the API takes them, and the script of the stand-in model.

A tool is created with the address of the runner's tool server instead of its own, so that no request leaves the machine; the rest of
its URL, its query and its body stay as they are, and are what is tested.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from evals.scenario import BadSuite, Scenario, Where
from evals.strict import plain
from evals.yamlfile import BadYaml, Place, read
from sandbox.openai.script import BadScript, Script

#: HUM's own tools, which act on the platform of the run.
BUILT_IN = frozenset(
    {
        "assign_to_human",
        "close_conversation",
        "end_call",
        "lookup_knowledge",
        "pause_recording",
        "report_outcome",
        "resume_recording",
        "schedule_followup_sms",
        "send_digits",
        "send_text",
        "stop_texting",
        "take_voicemail",
        "transfer_sms_to_flow",
        "transfer_to_flow",
        "transfer_to_number",
    }
)
#: Of a flow, by a scenario's.
CHANNELS = {"voice": "voice", "text": "sms"}
#: With which the tool server tells the call that a request belongs to.
CALLER_HEADER = "X-Caller"
CALLER_TEMPLATE = "{{ call.from_e164 or caller.phone_e164 }}"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_ORIGIN = re.compile(r"https?://[^/?#{}\\]+", re.IGNORECASE)
_EXPRESSION = re.compile(r"(\{\{.*?\}\})")
_ARGUMENT = re.compile(r"\{\{\s*args\.(\w+).*\}\}")
_SECRET = re.compile(r"\bsecrets\.(\w+)")


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A flow as `POST /api/flows` takes it, its tools as `POST /api/tools` does, and the script of the stand-in model where no model is set."""

    flow: Mapping[str, Any]
    stand_in: Mapping[str, Any]
    tools: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def load(cls, path: Path) -> "FlowFile":
        """Read a file.  Raises BadSuite."""
        try:
            values, lines = read(path.read_text())
        except BadYaml as error:
            raise BadSuite(f"{path}:{error.line}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise BadSuite(f"{path}:1: can't be read: {error}") from error
        try:
            plain(values)
        except ValueError as error:
            raise BadSuite(f"{path}:1: {error}") from error
        if not isinstance(values, dict) or not isinstance(values.get("flow"), dict):
            raise BadSuite(f"{path}:1: a flow's file has the key `flow`, with what POST /api/flows takes")
        for key in values.keys() - {"flow", "stand_in", "tools"}:
            raise BadSuite(f"{path}:{lines[key,]}: unknown key {key!r}; known are flow, stand_in, tools")
        if not isinstance(values.get("stand_in", {}), dict):
            raise BadSuite(f"{path}:{lines['stand_in',]}: stand_in is a script of the stand-in model")
        try:
            Script.of(values.get("stand_in", {}))
        except BadScript as error:
            raise BadSuite(f"{path}:{lines['stand_in',]}: {error}") from error
        tools = values.get("tools", [])
        if refused := list(_tool_refusals(tools)):
            raise BadSuite("\n".join(f"{path}:{lines[place]}: {sentence}" for place, sentence in refused))
        return cls(values["flow"], values.get("stand_in", {}), tools)

    @property
    def secrets(self) -> Sequence[str]:
        """The names of the secrets that the tools write into their requests."""
        return sorted(set(_SECRET.findall(str(self.tools))))


def _tool_refusals(tools: Any) -> Iterator[tuple[Place, str]]:
    if not isinstance(tools, list):
        yield ("tools",), "tools is a list, each as POST /api/tools takes it"
        return
    names = set[str]()
    for number, tool in enumerate(tools):
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield ("tools", number), "a tool has a name of letters, digits, _ and -"
            continue
        if name in names or name in BUILT_IN:
            yield ("tools", number, "name"), f"there is another tool {name!r}; choose another name"
        names.add(name)
        if not isinstance(tool.get("url"), str) or not _ORIGIN.match(tool["url"]):
            yield ("tools", number), f"{name} has no `url` that begins with https:// and a host"
        if not isinstance(tool.get("headers_json", {}), dict):
            yield ("tools", number, "headers_json"), f"headers_json of {name} is an object of texts"


def tool_refusals(scenario: Scenario, flow: FlowFile, where: Where) -> Iterator[str]:
    """Yield where a scenario's world and the flow's tools do not fit: nothing may be asked that nothing answers."""
    if (flow.flow.get("channel") == "sms") != (scenario.channel == "text"):
        yield f"{where.at('channel')}: the channel is {scenario.channel!r}, which needs a flow with `channel: {CHANNELS[scenario.channel]}`"
    names = [str(tool["name"]) for tool in flow.tools]
    world = scenario.world.tools if scenario.world else {}
    for name in world:
        if name not in names:
            yield f"{where.at('world', 'tools', name)}: the flow has no tool {name!r}; {_proposal(name, names)}"
    for name in names:
        if name not in world:
            place = where.at("world", "tools") if scenario.world else where.at("name")
            yield f"{place}: the world does not answer the flow's tool {name!r}; write it in world.tools, if only with `fail`"
    known = [*names, *sorted(BUILT_IN)]
    for number, expectation in enumerate(scenario.expect):
        for name in _named(expectation.name, expectation.wanted):
            if name not in known:
                line = where.at("expect", number, expectation.name)
                yield f"{line}: the flow has no tool {name!r}; {_proposal(name, known)}"


def _named(expectation: str, wanted: Any) -> Sequence[str]:
    match expectation:
        case "tool":
            return [wanted.name]
        case "no_tool":
            return [wanted]
        case "order":
            return list(wanted)
        case _:
            return []


def _proposal(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"do you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"


def at_address(tool: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return a tool that asks the tool server at `address`, a URL that ends with the tool's name."""
    headers = {**tool.get("headers_json", {}), CALLER_HEADER: CALLER_TEMPLATE}
    return {**tool, "url": address + _rest(tool["url"]), "headers_json": headers}


def _rest(url: str) -> str:
    rest = _ORIGIN.sub("", url, count=1)
    return rest if rest.startswith("/") else f"/{rest}"


def arguments_in_path(tool: Mapping[str, Any], path: str) -> dict[str, str]:
    """Return the arguments that a tool has written into its URL's path, which begins after the tool's name and is as it was sent."""
    parts = _EXPRESSION.split(re.split(r"[?#]", _rest(tool["url"]), maxsplit=1)[0])
    names, pattern = list[str](), ""
    for part in parts:
        if argument := _ARGUMENT.fullmatch(part):
            names.append(argument[1])
            pattern += "([^/]*)"
        else:
            pattern += "[^/]*" if part.startswith("{{") else re.escape(part)
    match = re.fullmatch(pattern, path)
    return dict(zip(names, map(unquote, match.groups()), strict=True)) if match else {}
