"""`hum audit verify`: a check of an exported audit log, which needs only the file."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from hum import audit


def verify(file: str, contains: str) -> int:
    """Print the chain's head as JSON; return 1 and print an error if the chain is broken, 2 if the file can't be read."""
    try:
        lines = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        head = audit.verify(lines.splitlines(), expected=contains)
    except OSError as error:
        sys.stderr.write(f"hum: {error}\n")
        return 2
    except audit.BrokenChain as error:
        sys.stderr.write(f"hum: the audit log was tampered with or is incomplete: {error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(head)) + "\n")
    return 0
