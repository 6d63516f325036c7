"""The end of a process that can't do its work: a message for its operator, and no traceback."""

import sys
from typing import NoReturn

STATUS = 2  # the same as argparse's


class StartupRefusal(SystemExit):
    """An exit with status 2, after the message has been printed."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = STATUS


def refuse(*sentences: str) -> NoReturn:
    """Print the sentences, one per line, and end the process."""
    for sentence in sentences:
        sys.stderr.write(f"hum: {sentence}\n")
    raise StartupRefusal("\n".join(sentences))
