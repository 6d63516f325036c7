"""What a command of the docs must fit: the Makefile, the parser of `hum`, modules, files, settings, the contract."""

import argparse
import fnmatch
import importlib.util
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

from cli import _parser
from hum import settings
from hum.ids import Kind
from hum.settings.overrides import OVERRIDES, parse
from tests.house import docrequests
from tests.house.docrequests import Misfit
from tests.support.docpages import BUILT, PROGRAMS, ROOT
from tests.support.shelltext import Command
from tests.topics import TOPICS

#: Variables of the docs that are no settings.
NAMES: Mapping[str, str] = {
    "HUM_API": "of the console's development server, console/vite.config.ts",
    "KEY": "the reader's key",
    "HUM_CRM_SECRETS": "of the receiver that docs/crm-integration.md shows",
    "HUM_DATABASE_PASSWORD": "of deploy/compose, which makes HUM_DATABASE_URL of it",
    "HUM": "the reader's platform",
}
#: The first words of others' ids.
OTHERS_IDS = {"sub": "Stripe's", "whsec": "of Standard Webhooks"}
VARIABLE = re.compile(r"\b(?:HUM|OPENAI|TWILIO)_[A-Z0-9_]+\*?")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|<.+>|.*\.\.\.|\$\{?\w+\}?")
#: A mention of a command need not have all its arguments.
INCOMPLETE = re.compile(
    r"arguments? (are|is) required|one of the arguments .* is required|expected (at least )?one argument"
)


def faults(command: Command, *, mentioned: bool = False) -> Iterator[str]:
    """Yield what is wrong with a command; `mentioned`: it stands in a sentence, perhaps without arguments."""
    for variable, value in command.assignments:
        if variable == OVERRIDES:
            yield from (f"{each} is not a constant" for each in parse(value) if each not in settings.constants())
    if not command.words:
        return
    program, arguments = command.program, command.words[1:]
    checks: Mapping[str, Callable[[], Iterator[str]]] = {
        "make": lambda: bad_targets(arguments),
        "hum": lambda: bad_arguments(arguments, mentioned=mentioned),
        "python": lambda: bad_module(arguments),
        "python3": lambda: bad_module(arguments),
        "curl": lambda: bad_request(arguments, command.document),
        "buf": lambda: bad_method(arguments),
        "npm": lambda: bad_script(arguments),
        "systemctl": lambda: bad_units(arguments),
        "cd": lambda: bad_folder(arguments),
    }
    if program in checks:
        yield from checks[program]()
    elif "/" in program:
        if not (ROOT / program).is_file():
            yield f"{program} is not there"
    elif program not in PROGRAMS:
        yield f"{program} is none of the programs that the docs may name"
    if program != "make":
        yield from missing_files(arguments)


def unknown_variables(text: str) -> Iterator[str]:
    """Yield the variables in a text that have a setting's prefix and are none."""
    for name in sorted(set(VARIABLE.findall(text))):
        if name.endswith(("*", "_")):
            is_known = any(each.startswith(name.rstrip("*")) for each in settings.variables())
        else:
            is_known = name in settings.variables() or name in NAMES
        if not is_known:
            yield f"{name} is not a setting"


def unknown_ids(text: str) -> Iterator[str]:
    """Yield the placeholders of ids, such as `flow_...`, that no id begins like."""
    kinds = {kind.value for kind in Kind} | OTHERS_IDS.keys()
    for name in sorted(set(re.findall(r"\b([a-z]+)_(?:01K)?\.\.\.", text))):
        if name not in kinds:
            yield f"no id begins with {name}_"


@cache
def targets() -> frozenset[str]:
    """Return the targets of the Makefile."""
    text = (ROOT / "Makefile").read_text()
    values = dict(re.findall(r"^(\w+) *[:?]?= *(.*)$", text, re.MULTILINE))
    rules = " ".join(re.findall(r"^([^\s#:=][^:=\n]*):(?!=)", text, re.MULTILINE))
    while (expanded := re.sub(r"\$\((\w+)\)", lambda name: values.get(name[1], ""), rules)) != rules:
        rules = expanded
    return frozenset(rules.split()) | {f"check-{topic}" for topic in TOPICS}


def bad_targets(arguments: Sequence[str]) -> Iterator[str]:
    for target in arguments:
        if "=" not in target and not target.startswith("-") and target not in targets():
            yield f"the Makefile has no target {target}"


@cache
def hum() -> argparse.ArgumentParser:
    return _parser()


def bad_arguments(arguments: Sequence[str], *, mentioned: bool) -> Iterator[str]:
    """Have the parser of `hum` read the arguments, without running anything."""
    filled = ["1" if PLACEHOLDER.fullmatch(word) else word for word in arguments]
    complaint, status = io.StringIO(), None
    with redirect_stderr(complaint), redirect_stdout(io.StringIO()):
        try:
            hum().parse_args(filled)
        except SystemExit as end:
            status = end.code
    text = complaint.getvalue().strip()
    if status and not (mentioned and INCOMPLETE.search(text)):
        yield text.removeprefix("hum: ")


def bad_module(arguments: Sequence[str]) -> Iterator[str]:
    match arguments:
        case ["-m", module, *rest]:
            place = ROOT / module.replace(".", "/")
            file = next((each for each in (place.with_suffix(".py"), place / "__main__.py") if each.is_file()), None)
            if file is None and ((ROOT / module.split(".")[0]).is_dir() or importlib.util.find_spec(module) is None):
                yield f"python has no module {module} that can be run"
            elif file is not None:
                yield from (f"{module} has no option {word}" for word in rest if not has_option(file, word))
        case ["-c", code, *_]:
            try:
                compile(code, "-c", "exec")
            except SyntaxError as error:
                yield f"python can't read this: {error}"
        case [file, *_] if file.endswith(".py"):
            pass  # `missing_files` looks
        case _:
            yield "python is given neither a module nor a file"


def has_option(file: Path, word: str) -> bool:
    """Tell whether a program, or a module beside it that it names, has an option; true for what is none."""
    if not word.startswith("--") or word == "--help":
        return True
    option, text = word.partition("=")[0], file.read_text()
    beside = [each for each in file.parent.glob("*.py") if re.search(rf"\b{each.stem}\b", text)]
    return any(f'"{option}"' in each.read_text() for each in [file, *beside])


def bad_request(arguments: Sequence[str], document: str) -> Iterator[str]:
    try:
        yield from docrequests.faults(docrequests.of_curl(arguments, document))
    except Misfit as misfit:
        yield str(misfit)


def bad_method(arguments: Sequence[str]) -> Iterator[str]:
    for word in arguments if arguments[:1] == ("curl",) else ():
        if (match := re.search(r"/(hum\.v1\.\w+/\w+)$", word)) and match[1] not in docrequests.methods():
            yield f"{match[1]} is no method of the contract"


def bad_script(arguments: Sequence[str]) -> Iterator[str]:
    if arguments[:1] == ("run",):
        scripts = json.loads((ROOT / "console/package.json").read_text())["scripts"]
        yield from (f"console/package.json has no script {each}" for each in arguments[1:2] if each not in scripts)


def bad_units(arguments: Sequence[str]) -> Iterator[str]:
    files = {each.name for each in (ROOT / "deploy/systemd").iterdir()}
    known = files | {name.removesuffix(".service") for name in files}
    for word in arguments:
        if word.startswith("hum") and not fnmatch.filter(known, re.sub(r"@\w*", "@", word)):
            yield f"deploy/systemd has no unit for {word}"


def bad_folder(arguments: Sequence[str]) -> Iterator[str]:
    for folder in arguments:
        if not folder.startswith(("/", "$")) and not (ROOT / folder).is_dir():
            yield f"{folder} is no folder"


def missing_files(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the paths in our folders at which there is nothing."""
    for word in arguments:
        path = re.fullmatch(r"@?((?:[\w.*-]+/)+[\w.*-]*)", word)
        if path and (ROOT / path[1].split("/")[0]).is_dir() and not path[1].startswith((".", *BUILT)):
            if not any(ROOT.glob(path[1])):
                yield f"{path[1]} is not there"
