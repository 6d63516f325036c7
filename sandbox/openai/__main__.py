"""The command `python -m sandbox.openai`: the stand-in for OpenAI as a process of its own.

OPENAI_API_KEY is the key that it accepts.
Prints one JSON line {"url": ...} when it is ready; SIGTERM and SIGINT shut it down cleanly.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from sandbox.openai.model import Model
from sandbox.openai.script import BadScript, Script
from sandbox.serving import alone, secret
from sandbox.speech import Speech


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.openai", description="A stand-in for OpenAI.")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--script", type=Path, metavar="FILE", help="JSON; see sandbox/openai/script.py")
    parser.add_argument("--no-speech", action="store_true", help="speak in tones; the script sets what callers say")
    return parser.parse_args(argv)


async def main(argv: list[str]) -> None:
    options = arguments(argv)
    key = secret("OPENAI_API_KEY")
    try:
        script = Script.load(options.script) if options.script else None
    except (BadScript, OSError) as error:
        sys.exit(f"{options.script} is not a valid script: {error}")
    speech = Speech() if Speech.available() and not options.no_speech else None
    if speech is not None:
        await speech.warm_up()
    try:
        async with Model.serve(api_key=key, listen=options.listen, script=script, speech=speech) as model:
            await alone(model.url)
    finally:
        if speech is not None:
            speech.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
