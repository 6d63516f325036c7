"""The command line as control's operator."""

from pathlib import Path

import pytest

from cli.operator import operator
from hum.refusal import StartupRefusal
from hum.settings import UpSettings


async def test_from_another_directory_it_says_so_and_leaves_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "var"
    with pytest.raises(StartupRefusal):
        async with operator(UpSettings(home=home)):
            pass
    assert f"no `hum up` has run in {home} (HUM_HOME)" in capsys.readouterr().err
    assert not home.exists()
