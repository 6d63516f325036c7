"""`hum demo`, as somebody at a terminal has it: its last link works for as long as it says."""

import asyncio
import html
import re
import signal
import sys
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from hum.settings import environment
from sandbox.speech import Speech
from tests.support.programs import variables
from tests.support.waits import until

pytestmark = [
    pytest.mark.calls,
    pytest.mark.speech,
    pytest.mark.skipif(not Speech.available(), reason="the extra `speech` is not installed"),
]


async def sign_in(http: httpx.AsyncClient, link: str, email: str) -> httpx.Response:
    """What a browser shows, once its user has chosen who they are."""
    page = await http.get(link)
    assert f'name="email" value="{email}"' in page.text, "one click is enough"
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    form = {name: html.unescape(value) for name, value in hidden.items()} | {"email": email}
    return await http.post(urljoin(str(page.url), "/authorize"), data=form)


@pytest.mark.timeout(240)
async def test_it_can_be_seen_again(open_home: Path) -> None:
    """What the first one left does not stand in the second one's way."""
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "demo", "--keep", "0"),
            env=environment() | {"HUM_HOME": str(open_home)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        text = output.decode()
        assert "A caller rings" in text and "agent: Thank you for calling" in text, text
        # On a busy machine the stand-ins may hear too little for a record that is complete; it says what is missing.
        complete = "The record is complete." in text
        assert process.returncode == (0 if complete else 1), text
        assert complete is not ("hum demo: " in text), text


@pytest.mark.timeout(240)
async def test_the_last_link_works_for_as_long_as_it_says(open_home: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("the console")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "demo", "--keep", "900"),
        env=variables(environment() | {"HUM_HOME": str(open_home), "console_dir": str(tmp_path)}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[str] = []

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            lines.append(line.decode().rstrip("\n"))

    reading = asyncio.create_task(read(process.stdout))
    try:
        await until(lambda: any("/docs" in line for line in lines) or process.returncode is not None, within_s=150)
        assert process.returncode is None, lines
        assert "For 15 minutes, or until Ctrl-C, everything runs on:" in lines
        (link,) = [line.split()[-1] for line in lines if "/auth/login" in line]
        (email,) = re.findall(r"choose (\S+);", "\n".join(lines))
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as http:
            shown = await sign_in(http, link, email)
            assert (shown.status_code, shown.text, shown.url.path[:7]) == (200, "the console", "/calls/"), shown.text
            record = (await http.get(shown.url.copy_with(path=f"/api{shown.url.path}"))).json()
            assert record["id"] in link and record["transcript"], record
            process.send_signal(signal.SIGINT)
            # On a busy machine the stand-ins may hear too little for a record that is complete.
            complete = "The record is complete." in lines
            assert await asyncio.wait_for(process.wait(), 60) == (0 if complete else 1), lines
            with pytest.raises(httpx.ConnectError):
                await http.get(link)
    finally:
        if process.returncode is None:  # it failed: everything ends at the second signal
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGINT)
            await process.wait()
        reading.cancel()
