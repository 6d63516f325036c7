"""Debian's Chromium without a window, over its own protocol: what a page is like when it is really shown."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.programs import running
from tests.support.waits import until

FLAGS = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
    ),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
)
MOST_BYTES = 64 << 20


class Tab:
    """One page.  `call` is a command of the DevTools protocol (chromedevtools.github.io/devtools-protocol)."""

    def __init__(self, socket: ClientConnection, session: str = "") -> None:
        self._socket, self._session, self._ids = socket, session, itertools.count(1)
        self._events = list[dict[str, Any]]()

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        ours = next(self._ids)
        message = {"id": ours, "method": method, "params": parameters}
        await self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while (answer := await self._read()).get("id") != ours:
            self._events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def attached(self) -> "Tab":
        """A new tab, in a mobile's or a desk's size once `show` says which."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = Tab(self._socket, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.call(f"{domain}.enable")
        return tab

    async def show(self, url: str, width: int = 1280) -> None:
        """Load a page into a window of this width."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        self._events.clear()
        told = await self.call("Page.navigate", url=url)
        assert "errorText" not in told, told
        if "loaderId" in told:  # else it is another place on the same page
            await self.loaded()

    async def loaded(self) -> None:
        """Wait until the page that is on its way is there."""
        while not any(each.get("method") == "Page.loadEventFired" for each in self._events):
            self._events.append(await self._read())

    async def click(self, selector: str) -> None:
        """Click what leads to another page, and wait for that."""
        self._events.clear()
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        await self.loaded()

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, whose own policy does not concern the protocol."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser logged about the page: refused by its policy, not found, and the like."""
        return [each["params"]["entry"]["text"] for each in self._events if each.get("method") == "Log.entryAdded"]

    async def _read(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self._socket.recv())
        return message


@asynccontextmanager
async def chromium(folder: Path, *flags: str) -> AsyncIterator[Tab]:
    """A tab of a new browser, which keeps its things in `folder` and is started with more `flags`."""
    program = shutil.which("chromium")
    assert program, "run: apt-get install chromium"
    log = folder / "chromium.log"

    def address() -> str:
        """Return where the browser listens, once it has printed that."""
        printed = re.search(r"(ws://\S+)\n", log.read_text())
        assert printed or browser.poll() is None, "chromium ended at once"
        return printed[1] if printed else ""

    command = (program, *FLAGS, *flags, f"--user-data-dir={folder / 'chromium'}")
    with log.open("wb") as output:
        async with running(*command, stdout=subprocess.DEVNULL, stderr=output) as browser:
            async with connect(await until(address), max_size=MOST_BYTES, proxy=None) as socket:
                yield await Tab(socket).attached()
