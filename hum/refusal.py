"""How a process ends that can't do what it is asked to: a sentence for its operator, and no traceback."""

import sys
from typing import NoReturn

STATUS = 2  # as argparse has it


class Refusal(SystemExit):
    """Ends the process with status 2; its text has been printed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = STATUS


def refuse(*sentences: str) -> NoReturn:
    """Print the sentences, a line each, and end the process."""
    for sentence in sentences:
        sys.stderr.write(f"hum: {sentence}\n")
    raise Refusal("\n".join(sentences))
