"""The client of the converter program (`converter.py`), which bounds its resources and its answer."""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from threading import Thread
from typing import BinaryIO

from control.knowledge.converter import Unreadable
from control.knowledge.passages import Block
from hum.settings.knowledge import KnowledgeSettings

PROGRAM = Path(__file__).with_name("converter.py")
#: Seconds of the processor that any document may take, and bytes of it for each further one: a page of text is some 500 bytes in a PDF, and
#: takes 50 ms.
LEAST_SECONDS, BYTES_PER_SECOND = 3, 10_000
#: JSON needs at most 12 bytes per character, and a few per block.
BYTES_PER_CHAR = 13
NO_TIME = "Converting the document takes too long."
NO_WAY = "The document can't be read; it may be damaged."


@dataclass(frozen=True, slots=True)
class Converter:
    settings: KnowledgeSettings

    async def blocks(self, body: bytes, form: str) -> list[Block]:
        """Return a document's headings and paragraphs.  Raises Unreadable."""
        process = await asyncio.to_thread(self._start, form, len(body))
        most_bytes = self.settings.knowledge_chars * BYTES_PER_CHAR
        try:
            async with asyncio.timeout(self.settings.knowledge_convert_seconds):
                answer, status = await asyncio.to_thread(_exchange, process, body, most_bytes)
        except TimeoutError:
            raise Unreadable(NO_TIME) from None
        finally:
            process.kill()  # the thread then ends
        if status:
            # A negative status is a signal: the kernel kills the program beyond its CPU time.
            raise Unreadable(NO_TIME if status < 0 else NO_WAY)
        return await asyncio.to_thread(_read, answer)

    def _start(self, form: str, size_bytes: int) -> "subprocess.Popen[bytes]":
        """Start the program, without asyncio: under uvloop, the forked child would run Python while other threads hold
        locks.
        """
        limits = (
            self.settings.knowledge_memory_bytes,
            min(self.settings.knowledge_cpu_seconds, LEAST_SECONDS + size_bytes // BYTES_PER_SECOND),
            self.settings.knowledge_pages,
            self.settings.knowledge_chars,
        )
        command = (sys.executable, "-I", str(PROGRAM), form, *map(str, limits))
        return subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={})


def _exchange(process: "subprocess.Popen[bytes]", body: bytes, most_bytes: int) -> tuple[bytes, int]:
    """Send the document; return the program's answer and status.  Raises Unreadable."""
    assert process.stdin is not None and process.stdout is not None
    sending = Thread(target=_send, args=(process.stdin, body), daemon=True)
    sending.start()
    answer = bytearray()
    with process.stdout as output:
        while len(answer) <= most_bytes and (part := output.read(1 << 16)):
            answer += part
    if len(answer) > most_bytes:
        process.kill()
    status = process.wait()
    sending.join()
    if len(answer) > most_bytes:
        raise Unreadable(NO_WAY)
    return bytes(answer), status


def _send(stdin: BinaryIO, body: bytes) -> None:
    # An error means that the program ended without reading all; its status says why.
    with suppress(OSError):
        stdin.write(body)
    with suppress(OSError):
        stdin.close()


def _read(answer: bytes) -> list[Block]:
    try:
        result = json.loads(answer)
    except ValueError:
        raise Unreadable(NO_WAY) from None
    if "failure" in result:
        raise Unreadable(result["failure"])
    # Replace lone surrogates, which a broken font or page may have: UTF-8 can't encode them.
    return [Block(level, text.encode(errors="replace").decode()) for level, text in result["blocks"]]
