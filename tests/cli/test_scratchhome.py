"""A home of one command goes with it, and the programs in it end."""

import subprocess
import sys
from pathlib import Path

from cli.platform import PROGRAMS
from cli.scratchhome import scratch_home
from hum.process import home
from hum.process.processes import ProcessIdentity
from tests.support.programs import running


async def test_programs_that_still_run_are_ended_and_the_home_is_removed(tmp_path: Path) -> None:
    async with running(sys.executable, "-c", "input()", stdin=subprocess.PIPE) as program:
        identity = ProcessIdentity.of(program.pid)
        assert identity is not None
        async with scratch_home(tmp_path, "eval") as folder:
            assert folder.is_dir()
            facts = {
                "name": "model",
                "pid": identity.pid,
                "began_ticks": identity.began_ticks,
                "leaves": False,
                "arguments": [],
                "serves": True,
                "announced": {},
            }
            home.write_facts(folder, PROGRAMS, {"programs": [facts]})
            assert program.poll() is None
        assert await program.ended() != 0
    assert not folder.exists()
