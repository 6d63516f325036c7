"""What a start of control imports: callers wait for it, where no other control answers them."""

import subprocess
import sys

#: Libraries that many deployments never use; imported when they are needed.
LATER = ("mcp", "nats", "stripe", "openai")
PROGRAM = f"import sys, control.app; print(*(name for name in {LATER!r} if name in sys.modules))"


def test_a_start_imports_no_library_that_it_can_do_without() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
