"""`hum audit verify`: checks an export of the audit log; needs only the file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from hum import audit


def verify(file: str, contains: str) -> int:
    """Print the chain's head as JSON; 1 and an error when the chain is broken."""
    try:
        lines = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        head = audit.verify(lines.splitlines(), expected=contains)
    except OSError as error:
        sys.stderr.write(f"hum: {error}\n")
        return 2
    except audit.Broken as error:
        sys.stderr.write(f"hum: the audit log was tampered with or is incomplete: {error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(head)) + "\n")
    return 0
