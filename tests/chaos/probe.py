"""`python -m tests.chaos.probe URL...`: asks each URL ten times a second, and prints the time (monotonic clock, which all namespaces
share), its number, and its status; 0 for no answer within a second.
"""

import asyncio
import sys
import time

import httpx


async def ask(http: httpx.AsyncClient, number: int, url: str) -> None:
    while True:
        try:
            status = (await http.get(url)).status_code
        except httpx.HTTPError:
            status = 0
        print(time.monotonic(), number, status, flush=True)  # noqa: T201
        await asyncio.sleep(0.1)


async def main(urls: list[str]) -> None:
    async with httpx.AsyncClient(timeout=1, trust_env=False) as http:  # meant to run out, if it is cut off
        await asyncio.gather(*(ask(http, number, url) for number, url in enumerate(urls)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
