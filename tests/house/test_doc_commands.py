"""Every command that the docs show fits what it is for, and is run by a test or named with the reason why not."""

import re
from collections.abc import Iterator

import pytest

from tests.house import doccommands, docrequests
from tests.house.docrequests import Request
from tests.house.test_docs import functions
from tests.support.docpages import (
    NOT_RUN,
    PROGRAMS,
    ROOT,
    RUN_BY,
    blocks,
    name,
    pages,
    reason_not_to_run,
    shell_blocks,
    spans,
)
from tests.support.shelltext import Command, Unreadable, statements

OURS = re.compile(r"(make|hum|python3?|\S*\.venv[\w-]*/bin/\S+|\.ci/\w+)(?= |$)")
#: With an option, it is a command, whoever's it is.
OPTION = re.compile(r"[a-z][\w.-]*( .*)? --?[a-z][\w-]*( .*)?")
REQUEST = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/api/[^\s?]+)(?:\?(\S*))?(?:\s+(\{.*\}))?\s*", re.DOTALL)


def is_command(span: str) -> bool:
    first, _, rest = span.partition(" ")
    return bool(OURS.match(span) or (first in PROGRAMS and rest) or OPTION.fullmatch(span))


def faults_of_script(text: str, line: int, *, mentioned: bool = False) -> Iterator[tuple[int, str]]:
    """Yield line and fault of each command that does not fit."""
    try:
        for statement in statements(text, line):
            for command in statement.commands:
                for fault in doccommands.faults(command, mentioned=mentioned):
                    yield statement.line, f"{fault}: `{statement.source.splitlines()[0]}`"
    except Unreadable as reason:
        yield reason.line, f"a shell can't read this: {reason}"


def faults_of_request(match: re.Match[str], *, mentioned: bool) -> Iterator[str]:
    """Yield the faults of a request that is written as `POST /api/calls {...}`."""
    method, path, query, body = match.groups()
    pairs = [(part.partition("=")[0], part.partition("=")[2]) for part in (query or "").split("&") if part]
    headers = {"authorization": "Bearer k", "content-type": docrequests.JSON}
    # A mention may name the members alone: `{"reason"}`.
    body = "" if mentioned and body and ":" not in body else body or ""
    return docrequests.faults(Request(method, path, pairs, headers, body, is_mention=mentioned and not body))


def faults(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line of each fault of a page, and what it is."""
    for block in shell_blocks(text):
        yield from faults_of_script(block.text, block.line)
    for block in blocks(text):
        if block.language in {"", "http"} and (match := REQUEST.fullmatch(block.text)):
            yield from ((block.line, fault) for fault in faults_of_request(match, mentioned=False))
    for line, span in spans(text):
        if is_command(span):
            yield from faults_of_script(span, line, mentioned=True)
        elif match := REQUEST.fullmatch(span):
            yield from ((line, fault) for fault in faults_of_request(match, mentioned=True))
    for number, line_text in enumerate(text.splitlines(), 1):
        for fault in (*doccommands.unknown_variables(line_text), *doccommands.unknown_ids(line_text)):
            yield number, fault


def test_every_command_fits() -> None:
    found = [f"{name(page)}:{line}: {fault}" for page in pages() for line, fault in faults(page.read_text())]
    assert not found, "\n".join(found)


def test_what_units_start_fits() -> None:
    found = [
        f"{name(unit)}: {fault}"
        for unit in sorted((ROOT / "deploy/systemd").iterdir())
        for command in re.findall(r"^Exec\w+=[-+!]*(.*)$", unit.read_text(), re.MULTILINE)
        for _, fault in faults_of_script(command, 1)
    ]
    assert not found, "\n".join(found)


def unexplained(command: Command) -> bool:
    return bool(command.words) and command.program != "export" and reason_not_to_run(command) is None


def test_every_block_is_run_by_a_test_or_says_why_not() -> None:
    wrong = [f"RUN_BY: there is no page {page}" for page in RUN_BY if not (ROOT / page).is_file()]
    for page in pages():
        found = shell_blocks(page.read_text())
        tests = RUN_BY.get(name(page), (None,) * len(found))
        if len(tests) != len(found):
            wrong.append(f"{name(page)} has {len(found)} blocks of commands, and RUN_BY tests for {len(tests)}")
        for block, test in zip(found, tests, strict=False):
            if test is None:
                wrong += [
                    f"{name(page)}:{statement.line}: no test runs `{statement.source}`, and NOT_RUN has no reason"
                    for statement in statements(block.text, block.line)
                    if any(map(unexplained, statement.commands))
                ]
    for test in {test for tests in RUN_BY.values() for test in tests if test}:
        file, _, function = test.partition("::")
        if function not in functions(ROOT / file):
            wrong.append(f"RUN_BY: there is no test {test}")
    assert not wrong, "\n".join(wrong)


def test_no_reason_is_left_over() -> None:
    commands = [
        command
        for page in pages()
        for block in shell_blocks(page.read_text())
        for statement in statements(block.text)
        for command in statement.commands
    ]
    used = {reason_not_to_run(command) for command in commands}
    assert {start for start, reason in NOT_RUN.items() if reason not in used} == set()
    text = "\n".join(page.read_text() for page in pages())
    assert {variable for variable in doccommands.NAMES if variable not in text} == set()


CURL = """curl -sS "$HUM/api/contacts" -H "Authorization: Bearer $KEY" """
JSON = """-H "Content-Type: application/json" """


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("make up-all", "the Makefile has no target up-all"),
        ("make check-nothing", "no target check-nothing"),
        ("hum admin make-org", "invalid choice: 'make-org'"),
        ("hum admin create-org --name Clinic", "required: --owner-email"),
        (".venv/bin/hum call --to +13175550100 --shout Hello", "unrecognized arguments: --shout Hello"),
        ("python -m bench.nothing", "no module bench.nothing"),
        ("python -m bench.extras --turns 10 --rows 3", "bench.extras has no option --rows"),
        (".venv/bin/python console/nothing.py", "console/nothing.py is not there"),
        ("python3 -c 'import json,'", "python can't read this"),
        ("python nothing", "neither a module nor a file"),
        (".ci/never", ".ci/never is not there"),
        ("cp deploy/nothing/* /etc/hum/", "deploy/nothing/* is not there"),
        ("systemctl start hum-moon@a", "no unit for hum-moon@a"),
        ("cd console && npm run fly", "no script fly"),
        ("cd nowhere", "nowhere is no folder"),
        ("terraform apply", "terraform is none of the programs"),
        ("cat a.tf | terraform apply", "terraform is none of the programs"),
        ("HUM_PUBLIC_URI=https://hum.example.com hum up", "HUM_PUBLIC_URI is not a setting"),
        ("HUM_OVERRIDES=vad_confirmed=false hum up", "vad_confirmed is not a constant"),
        ("hum admin create-api-key --org organization_... --role admin", "no id begins with organization_"),
        ("buf curl http://$CONTROL/hum.v1.FlowsService/ListFlow", "hum.v1.FlowsService/ListFlow is no method"),
        (CURL.replace("contacts", "contact"), "/api/contact is no path"),
        (CURL + "-X DELETE", "/api/contacts has no DELETE, but GET, POST"),
        (CURL.replace("contacts", "contacts?name=Ada"), "no query parameter name"),
        (CURL.replace("contacts", "contacts?limit=many"), "'many' is not of type 'integer'"),
        (CURL + JSON + """-d '{"telephone": "1", "phone_e164": "+14155550100"}'""", "'telephone' was unexpected"),
        (CURL + JSON + """-d '{"name": 7, "phone_e164": "+14155550100"}'""", "the body.name: 7 is not of type"),
        (CURL + JSON + """-d '{"name": "Ada", "phone_e164": "4155550100"}'""", "the body.phone_e164: '4155550100'"),
        (CURL + JSON + """-d '{"name": "Ada"'""", "its body is not JSON"),
        (CURL + """-d '{"name": "Ada", "phone_e164": "+14155550100"}'""", "without the header Content-Type"),
        (CURL + "-X POST", "POST /api/contacts needs a body"),
        (CURL + "-F file=@a.csv", "takes no body of multipart/form-data"),
        (CURL + "--retry-forever 3", "option --retry-forever is not known here"),
        ("curl $HUM/api/contacts", "it has no header Authorization"),
        ("curl $SHOP/orders", "$SHOP/orders is none of HUM's"),
        ("curl 'unclosed", "a shell can't read this"),
    ],
)
def test_a_wrong_command_is_found(command: str, fault: str) -> None:
    ((line, text),) = faults(f"# A page\n\n```sh\n# It is shown.\n{command}\n```\n")
    assert line == 5 and fault in text


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        ("Run `make up-all`.", "no target up-all"),
        ("Run `hum admin\n  make-org`, or `hum admin create-org`.", "invalid choice: 'make-org'"),
        ("Run `bench.extras --turns 3`.", "bench.extras is none of the programs"),
        ("Set `HUM_PUBLIC_URI`, or any `HUM_OIDC_*`.", "HUM_PUBLIC_URI is not a setting"),
        ("Set none of `HUM_MOON_*`.", "HUM_MOON_* is not a setting"),
        ("`GET /api/contacts?name=Ada` finds her, as does `GET /api/contacts/{id}`.", "no query parameter name"),
        ("`POST /api/contacts/{id}/wave` is nothing.", "/api/contacts/{id}/wave is no path"),
        ('`PATCH /api/contacts/{id} {"name": 7}` renames.', "the body.name: 7 is not of type"),
        ("```http\nPOST /api/contacts\n```", "POST /api/contacts needs a body"),
        ("    hum up --replaced", "unrecognized arguments: --replaced"),
    ],
)
def test_a_wrong_mention_is_found(sentence: str, fault: str) -> None:
    ((line, text),) = faults(f"# A page\n\n{sentence}\n")
    assert line == (4 if "```" in sentence else 3) and fault in text


def test_a_script_is_read_as_a_shell_reads_it() -> None:
    script = """KEY=$(printf %s "$SECRET" | base64 -d)  # not 'closed
{ printf '%s.' "a b"; cat body.json; } \\
  | tr -d ' \\n' > out.txt && curl -d @- "$HUM/a"'?b=#c' <<'JSON'
{"a": "it's"}
JSON

make up
"""
    read = statements(script, 10)
    assert [statement.line for statement in read] == [10, 11, 16]
    assert [[command.words for command in statement.commands] for statement in read] == [
        [(), ("printf", "%s", "$SECRET"), ("base64", "-d")],
        [
            ("printf", "%s.", "a b"),
            ("cat", "body.json"),
            ("tr", "-d", " \\n"),
            ("curl", "-d", "@-", "$HUM/a?b=#c"),
        ],
        [("make", "up")],
    ]
    assert read[1].commands[-1].document == '{"a": "it\'s"}'
