"""Starts the program that reads documents (`converter.py`), and bounds what it may take and answer."""

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

from control.knowledge.rules import Block
from hum.settings.knowledge import KnowledgeSettings

PROGRAM = Path(__file__).with_name("converter.py")
#: JSON writes a character in at most 12 bytes, and around each block a few more.
BYTES_PER_CHAR = 13
NO_TIME = "Converting the document takes too long."
NO_WAY = "The document can't be read; it may be damaged."


class Unreadable(Exception):  # noqa: N818 - what a document is, no fault of ours
    """A document can't be converted; the message is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Converter:
    settings: KnowledgeSettings

    async def blocks(self, body: bytes, form: str) -> list[Block]:
        """A document's headings and paragraphs.  Raises Unreadable."""
        process = await asyncio.to_thread(self._start, form)
        most_bytes = self.settings.knowledge_chars * BYTES_PER_CHAR
        try:
            async with asyncio.timeout(self.settings.knowledge_convert_seconds):
                answer, status = await asyncio.to_thread(_exchange, process, body, most_bytes)
        except TimeoutError:
            raise Unreadable(NO_TIME) from None
        finally:
            process.kill()  # the thread then ends
        if status:
            # Beyond its processor time the kernel kills it.
            raise Unreadable(NO_TIME if status < 0 else NO_WAY)
        return await asyncio.to_thread(_read, answer)

    def _start(self, form: str) -> "subprocess.Popen[bytes]":
        """Not by asyncio: under uvloop, Python would run in the forked child, beside locks of this process's other threads."""
        limits = (
            self.settings.knowledge_memory_bytes,
            self.settings.knowledge_cpu_seconds,
            self.settings.knowledge_pages,
            self.settings.knowledge_chars,
        )
        command = (sys.executable, "-I", str(PROGRAM), form, *map(str, limits))
        return subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={})


def _exchange(process: "subprocess.Popen[bytes]", body: bytes, most_bytes: int) -> tuple[bytes, int]:
    """What the program answers, and its status.  Raises Unreadable."""
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
    with suppress(OSError):  # it has ended without reading all; its status says why
        stdin.write(body)
    with suppress(OSError):
        stdin.close()


def _read(answer: bytes) -> list[Block]:
    try:
        found = json.loads(answer)
    except ValueError:
        raise Unreadable(NO_WAY) from None
    if "failure" in found:
        raise Unreadable(found["failure"])
    # Half a character, which a broken font or page may have, is none in UTF-8.
    return [Block(level, text.encode(errors="replace").decode()) for level, text in found["blocks"]]
