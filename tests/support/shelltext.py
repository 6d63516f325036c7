"""Shell commands as the docs have them, read without a shell: statements, their programs and arguments.

A statement is what a reader types before Enter: one or more commands, joined by `|`, `&&` or `;`, or in `$(...)`.  `$NAME` in a word
stays as it is, and so does `<a description>`, which stands for something that the reader knows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
      (?P<joined>\\\n)
    | (?P<blank>[ \t]+)
    | (?P<comment>(?<![^\s;|&(])\#[^\n]*)
    | (?P<heredoc><<(?P<quote>['"]?)(?P<end>\w+)(?P=quote))
    | (?P<described><[a-z][a-z ]*>)
    | (?P<redirection>[0-9]?(?:>>|>|<)&?)
    | (?P<operator>\n|&&|\|\||[;|&()])
    | '(?P<single>[^']*)'
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | \$\((?P<inner>[^()]*)\)
    | \\(?P<escaped>.)
    | (?P<plain>[^\s'"\\;|&()<>])
    """,
    re.VERBOSE | re.DOTALL,
)
INNER = re.compile(r"\$\(([^()]*)\)")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
ESCAPED = re.compile(r'\\(["\\$`\n])')
#: Words that group commands, in the place of a program.
GROUPING = {"{", "}", "!", "do", "done", "then", "fi", "if", "for"}


class Unreadable(Exception):  # noqa: N818
    """The text is no shell, or more than is read here; the message says what, and `line` where."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments; without a program, assignments alone."""

    words: tuple[str, ...] = ()
    assignments: tuple[tuple[str, str], ...] = ()
    #: Its standard input, if that is on the page.
    document: str = ""

    @property
    def program(self) -> str:
        """The program's name; without its folder, if that is a virtual environment's."""
        return re.sub(r"^(?:\S*/)?\.venv[\w-]*/bin/", "", self.words[0]) if self.words else ""

    @property
    def variables(self) -> set[str]:
        """The variables that it uses."""
        text = "\n".join([*self.words, *(value for _, value in self.assignments), self.document])
        return set(re.findall(r"\$\{?([A-Za-z_]\w*)", text))


@dataclass(frozen=True, slots=True)
class Statement:
    line: int
    source: str
    commands: tuple[Command, ...]


@dataclass(slots=True)
class _Draft:
    """A command of which not every word is read."""

    words: list[str] = field(default_factory=list)
    document: str = ""

    def command(self) -> Command:
        words = list(self.words)
        while words and words[0] in GROUPING:
            words.pop(0)
        assignments = []
        while words and (match := ASSIGNMENT.fullmatch(words[0])):
            assignments.append((match[1], match[2]))
            words.pop(0)
        return Command(tuple(words), tuple(assignments), self.document)


class _Reading:
    def __init__(self, text: str, line: int) -> None:
        self.text, self.line, self.at, self.begin = text, line, 0, 0
        self.commands: list[Command] = []
        self.draft, self.inner = _Draft(), list[str]()
        self.word: str | None = None
        self.is_target, self.end = False, ""

    def statements(self) -> Iterator[Statement]:
        while self.at < len(self.text):
            match = TOKEN.match(self.text, self.at)
            if match is None:
                raise Unreadable(
                    self.first_line(), f"a quote is open, or {self.text[self.at : self.at + 10]!r} is not read here"
                )
            self.at = match.end()
            if match["operator"] == "\n":
                self.read_document()
                if not self.goes_on():
                    yield from self.statement()
            else:
                self.take(match)
        yield from self.statement()

    def take(self, match: re.Match[str]) -> None:
        """Read a token that ends no statement."""
        kind = match.lastgroup or ""
        if kind in {"joined", "blank", "comment"}:
            self.end_word()
        elif kind == "heredoc":
            self.end_word()
            self.end = match["end"]
        elif kind == "redirection":
            self.end_word()
            self.is_target = True
        elif kind == "operator":
            self.end_command()
        else:
            text = match[kind]
            if kind == "double":
                text = ESCAPED.sub(r"\1", text)
            elif kind == "inner":
                text = match[0]
            if kind in {"double", "inner"}:
                self.inner += INNER.findall(text)
            self.word = (self.word or "") + text

    def first_line(self) -> int:
        """Return the line in which the statement begins."""
        rest = self.text[self.begin :]
        return self.line + self.text.count("\n", 0, self.begin + len(rest) - len(rest.lstrip()))

    def goes_on(self) -> bool:
        """Tell whether the statement continues in the next line, because it ends with `|`, `&&` or `||`."""
        return self.text[: self.at].rstrip().endswith(("|", "&&"))

    def read_document(self) -> None:
        if not self.end:
            return
        body, found, _ = self.text[self.at :].partition(f"\n{self.end}\n")
        if not found:
            raise Unreadable(self.first_line(), f"the document up to {self.end} has no end")
        self.draft.document = body
        self.at += len(body) + len(self.end) + 2
        self.end = ""

    def end_word(self) -> None:
        if self.word is not None and not self.is_target:
            self.draft.words.append(self.word)
        if self.word is not None:
            self.is_target = False
        self.word = None

    def end_command(self) -> None:
        self.end_word()
        command = self.draft.command()
        if command.words or command.assignments:
            self.commands.append(command)
        self.draft = _Draft()

    def statement(self) -> Iterator[Statement]:
        self.end_command()
        for text in self.inner:
            self.commands += [each for inner in statements(text) for each in inner.commands]
        if self.commands:
            source = self.text[self.begin : self.at].strip()
            yield Statement(self.first_line(), source, tuple(self.commands))
        self.commands, self.inner, self.begin = [], [], self.at


def statements(text: str, line: int = 1) -> Sequence[Statement]:
    """Return the statements of a script whose first line has this number.  Raises Unreadable."""
    return list(_Reading(text, line).statements())
