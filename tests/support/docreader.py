"""A reader of the docs at a shell, who types a page's commands and copies out of the answers what later ones need."""

import os
import re
import subprocess
from collections.abc import Collection, Mapping

from tests.support.programs import running
from tests.support.shelltext import statements

#: A refusal fails the command, and no proxy of this machine is asked.
CURL = """curl() { command curl --noproxy '*' --fail-with-body "$@"; }\n"""
ID = re.compile(r"\b([a-z]+)_[0-9A-Z]{26}\b|\b(hum_live)_\w+")
#: The ids of numbers have no word before them.
NUMBER = re.compile(r'"id": ?"([0-9A-Z]{26})"')
LEFT = re.compile(r"\w+_\.\.\.|/\.\.\.")


class Reader:
    """`variables` are added to the environment; `places` are what a page has, and what stands for it here.

    A placeholder `flow_...` is the latest id with that beginning, which an answer had, and `/numbers/...` ends with the latest number's.
    """

    def __init__(self, variables: Mapping[str, str], places: Mapping[str, str] | None = None) -> None:
        self.variables = {**os.environ, **variables}
        self.places = places or {}
        self.copied = dict[str, str]()

    async def enter(self, code: str, statuses: Collection[int] = (0,)) -> str:
        """Run commands; return what they print.  Raises AssertionError for a status that is none of these."""
        code = self._filled(code)
        async with running(
            *("bash", "-euc", CURL + code), env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as shell:
            out, err = await shell.outputs()
        answer = out.decode()
        assert shell.returncode in statuses, f"{code}\n{answer}{err.decode()}"
        self._copy(answer)
        self._export(code)
        return answer

    def _filled(self, code: str) -> str:
        for there, here in {**self.places, **self.copied}.items():
            code = code.replace(there, here)
        assert not (left := LEFT.findall(code)), f"no answer had what stands for {left}: {code}"
        return code

    def _copy(self, answer: str) -> None:
        # An answer begins with its own id, and a list with the latest.
        for found in reversed(list(ID.finditer(answer))):
            self.copied[f"{found[1] or found[2]}_..."] = found[0]
        if number := NUMBER.search(answer):
            self.copied["/numbers/..."] = f"/numbers/{number[1]}"

    def _export(self, code: str) -> None:
        for statement in statements(code):
            for command in statement.commands:
                if command.program == "export":
                    self.variables |= dict(word.split("=", 1) for word in command.words[1:])
