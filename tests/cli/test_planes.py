"""`hum <plane>` becomes the plane's program, with the options that it was given."""

import os
from typing import Any

import pytest

from cli import _parser


class Started(Exception):  # noqa: N818
    """A program took the place of this one."""


@pytest.mark.parametrize(
    ("words", "program"),
    [
        ("control", ["control.app", "control"]),
        ("worker", ["control.app", "worker"]),
        ("gateway --workers 2", ["gateway.app", "--workers", "2"]),
        ("media", ["media.app"]),
        ("media --workers 2 --handover", ["media.app", "--workers", "2", "--handover"]),
        ("media --browser", ["media.app", "--browser"]),
    ],
)
def test_a_plane_gets_its_options(words: str, program: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: str, command: list[str], *__: Any) -> None:
        raise Started(*command[1:])

    monkeypatch.setattr(os, "execv", start)
    monkeypatch.setattr(os, "execve", start)
    arguments = _parser().parse_args(words.split())
    with pytest.raises(Started) as started:
        arguments.run(arguments)
    assert list(started.value.args) == ["-m", *program]
