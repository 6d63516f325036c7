"""The pages of the docs: their blocks of code, the commands in their sentences, and who runs which block."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.shelltext import Command

ROOT = Path(__file__).parents[2]
SHELL = {"sh", "bash", "console"}
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4,}\S[^\n]*\n)+")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)

#: Others' programs that the docs may name.
PROGRAMS = frozenset(
    "apt-get base64 cat cd cp date docker export git install journalctl kill kubectl mypy npm npx od openssl pg_basebackup pg_ctl "
    "pg_dump pg_rewind pg_verifybackup pip podman printf psql ruff sha256sum ssh ssh-keygen systemctl tar tr useradd".split()
)
INDENTED_PROGRAMS = PROGRAMS | {"buf", "curl", "hum", "make", "python", "python3"}

#: What `make` builds, and no clone has.
BUILT = (
    "gateway/static",
    "media/_native",
    "console/node_modules",
    "console/e2e/node_modules",
    "console/e2e/lighthouse/node_modules",
)

#: The test that types README.md and others into a shell.
TYPED = "tests/e2e/test_pages_in_a_shell.py::test_the_pages_do_what_they_say"
MCP = "tests/contract/test_mcp_page.py::test_the_examples_do_what_the_page_says"
BACKUP = "tests/e2e/test_backup.py::test_a_backup_is_restored"
STUDIO = "tests/contract/test_studio.py::test_the_examples_of_the_page_work"
TOOLS = "tests/contract/test_tools_pages.py::test_the_examples_of_tools"
HOOKS = "tests/contract/test_tools_pages.py::test_the_examples_of_hooks"
TRIGGERS = "tests/contract/test_triggers_page.py::test_the_examples_do_what_the_page_says"
EVENTS = "tests/contract/test_event_agents.py::test_the_examples_do_what_the_page_says"
BOOKING = "tests/contract/test_booking_page.py::test_the_examples_do_what_the_page_says"
KNOWLEDGE = "tests/contract/test_knowledge_page.py::test_the_examples_do_what_the_page_says"
GRPC = "tests/contract/test_grpc_page.py::test_buf_curl_and_python"
TEXTS = "tests/contract/test_sms_page.py::test_the_examples_answer_as_the_page_says"

#: The tests that run a page's blocks of commands, in their order.  None, as on pages that are not here: each command is in NOT_RUN.
RUN_BY: Mapping[str, tuple[str | None, ...]] = {
    "README.md": (None, TYPED),
    "docs/agent-setup.md": (
        MCP,
        MCP,
        MCP,
        "tests/contract/test_mcp_page.py::test_the_inspector_works_with_it",
        STUDIO,
        STUDIO,
    ),
    "docs/backup.md": (
        "tests/e2e/test_backup.py::test_hum_backup_copies_a_running_platform_and_hum_restore_brings_it_back",
        BACKUP,
        BACKUP,
        BACKUP,
    ),
    "docs/contract.md": (TYPED,),
    "docs/evals.md": (
        "tests/evals/test_suites.py::test_each_fault_turns_its_scenarios_red",
        "tests/evals/test_suites.py::test_a_worse_version_is_told",
        "tests/evals/test_report.py::test_the_command_reads_a_file_and_leaves_it_as_it_is",
    ),
    "docs/event-agents.md": (EVENTS,) * 3,
    "docs/failover.md": (None, TYPED, None, None),
    "docs/flow-hooks.md": (HOOKS,) * 3,
    "docs/going-live.md": (None, None, None, TYPED),
    "docs/grpc.md": (GRPC,) * 3,
    "docs/booking.md": (BOOKING,) * 8,
    "docs/knowledge.md": (KNOWLEDGE,) * 5,
    "docs/sms-api.md": (None, *(TEXTS,) * 20),
    "docs/tools.md": (TOOLS,) * 5,
    "docs/triggers.md": (TRIGGERS,) * 4,
    "docs/webhooks.md": (TYPED, "tests/control/webhooks/test_documented.py::test_the_openssl_snippet"),
}

#: Commands that no test runs as they stand on a page, by their first words, and why.
NOT_RUN: Mapping[str, str] = {
    "apt-get": "changes the machine",
    "cd /opt/hum": "comes after the clone",
    "cd console": "comes before `npm run dev`",
    "cd deploy/compose": "comes before `docker compose`",
    "cp deploy/systemd/*": "changes the machine; tests/e2e/test_systemd.py runs what is copied",
    "cp env.example": "comes before `docker compose`",
    "docker": "there is no container engine; tests/deploy/test_deploy_files.py reads the file",
    "git": "the repository is elsewhere",
    "hum admin make-keys": "writes to /etc; tests/hum/test_production.py runs it",
    "hum up --replace": "does not return; tests/e2e/test_hum_up.py runs it",
    "install": "changes the machine",
    "kubectl": "there is no cluster; tests/deploy/test_deploy_files.py reads the files",
    "make .venv/.core": "comes before all tests",
    "make bench": "takes minutes; `make check-bench` is shorter",
    "make bench-peers": "takes packages from the network",
    "make check-chaos": "is a topic, as the test that would run it",
    "make check-nodes": "is a topic, as the test that would run it",
    "make check-strain": "is a topic, as the test that would run it",
    "make console": "takes packages from npm; comes before `make check-browser`",
    "make demo": "does not return; tests/e2e/test_demo.py runs `hum demo`",
    "make release": "tests/deploy/test_release.py runs its program on a commit of its own",
    "make test": "runs the tests",
    "make up": "does not return; the test starts `hum up`",
    "npm run dev": "does not return",
    "pg_basebackup -d": "takes two machines; tests/chaos/servers.py makes such a standby",
    "pg_ctl": "takes two machines; tests/chaos/servers.py makes such a standby",
    "pip install": "takes packages from the network; tests/e2e/test_image.py installs the same locks",
    "podman": "there is no container engine; tests/e2e/test_image.py builds and runs the image without one",
    "python -m bench.": "takes up to an hour, alone on the machine; `make bench` and `make check-bench` run shorter ones",
    "python -m media.compile": "comes before all tests",
    "python console/build.py": "takes packages from npm; comes before `make check-browser`",
    "python3 -m venv": "comes before all tests",
    "sha256sum": "tests/deploy/test_release.py does the same",
    "ssh-keygen": "asks for a passphrase; tests/deploy/test_release.py does the same",
    "systemctl": "there is no systemd; tests/e2e/test_systemd.py runs the units without it",
    "useradd": "changes the machine",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is that of its first line of code."""

    line: int
    language: str
    text: str


def pages() -> list[Path]:
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
    return sorted(found)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str) -> list[Block]:
    return [Block(text.count("\n", 0, each.start(2)) + 1, each[1], each[2]) for each in FENCE.finditer(text)]


def shell_blocks(text: str) -> list[Block]:
    """Return the blocks of commands, fenced ones and indented ones, in their order."""
    fenced = [block for block in blocks(text) if block.language in SHELL]
    indented = [
        Block(text.count("\n", 0, each.start()) + 1, "sh", textwrap.dedent(each[0]))
        for each in INDENTED.finditer(_without(FENCE, text))
        if is_script(each[0].strip().splitlines()[0])
    ]
    return sorted([*fenced, *indented], key=lambda block: block.line)


def is_script(line: str) -> bool:
    """Tell whether an indented line is a command, or assigns variables: others' files of settings stand so, too."""
    words = re.sub(r"^(?:[A-Z][A-Z0-9_]*=\S*\s*)+", "= ", line).split()
    return words[0] in {"=", *INDENTED_PROGRAMS} or ".venv/bin/" in words[0]


def _without(part: re.Pattern[str], text: str) -> str:
    """Return a text of as many lines, in which these parts are empty."""
    return part.sub(lambda match: "\n" * match[0].count("\n"), text)


def spans(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of all that stands in backquotes, outside of blocks."""
    line = 1
    for paragraph in re.split(r"(\n\s*\n|\n(?=[|#-]))", _without(FENCE, text)):
        for span in SPAN.finditer(paragraph):
            yield line + paragraph.count("\n", 0, span.start()), re.sub(r"\s*\n\s*", " ", span[2]).strip()
        line += paragraph.count("\n")


def reason_not_to_run(command: Command) -> str | None:
    """Return why no test runs a command as it stands, or None."""
    text = " ".join((command.program, *command.words[1:]))
    fitting = [start for start in NOT_RUN if f"{text} ".startswith(start if start.endswith(".") else f"{start} ")]
    return NOT_RUN[max(fitting, key=len)] if fitting else None
