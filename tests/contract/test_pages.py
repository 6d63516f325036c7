"""The pages for people, as the gateway serves them: who is signed in, `/docs`, and what a browser makes of them."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway import app as gateway
from gateway.console import STATIC
from gateway.reference import ENTRY
from hum.process.sockets import free_port
from hum.settings import GatewaySettings
from sandbox.signin import Issuer
from tests.contract.conftest import PUBLIC, Edge, gateway_settings
from tests.support.browser import chromium
from tests.support.waits import until

SESSION = "__Host-hum_session"
PHONE, DESK = 375, 1280
CLICK = "document.querySelector('{}').click()"
#: The link of a search's result that leads to an operation.
FOUND = 'a[data-component-name="Search/SearchItem"][href*=hangupcall]'
BY_FORM = {"Accept": "text/html,application/xhtml+xml"}


# --- the first page -----------------------------------------------------------------------------------------------


async def test_a_stranger_gets_a_page_that_leads_on(edge: Edge) -> None:
    answer = await edge.browser().get("/")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")
    assert "You are not signed in" in answer.text and 'href="/auth/login"' in answer.text
    assert 'href="/docs"' in answer.text and "<form" not in answer.text
    elsewhere = await edge.browser().get("/nothing")
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (404, "not_found")


async def test_one_sees_who_one_is_and_signs_out(edge: Edge) -> None:
    browser = edge.browser()
    begun = await browser.get("/auth/login")  # without return_to
    answer = await browser.get(await browser.choose(httpx.URL(begun.headers["location"]), "ada@example.com"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    answer = await browser.get("/")
    page = answer.text
    assert answer.headers["referrer-policy"] == "same-origin", "a form sends its Origin"
    assert "<strong>ada</strong> (ada@example.com)" in page and "You belong to no organization yet" in page
    assert (await browser.post("/api/organizations", {"name": "<b>Clinic</b>"})).status_code == 201
    page = (await browser.get("/")).text
    assert "<strong>&lt;b&gt;Clinic&lt;/b&gt;</strong> as admin" in page and "also a member" not in page
    assert '<form method="post" action="/auth/logout">' in page
    kept = dict(browser.cookies)
    for forged in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": None}):
        assert (await browser.post("/auth/logout", headers={**BY_FORM, **forged})).status_code == 403
    answer = await browser.post("/auth/logout", headers=BY_FORM)
    assert (answer.status_code, answer.headers["location"], browser.cookies) == (303, "/", {})
    for cookies in ({}, kept, {SESSION: "x"}):
        browser.cookies = dict(cookies)
        assert "You are not signed in" in (await browser.get("/")).text


async def test_other_organizations_and_invitations_are_shown(edge: Edge) -> None:
    host, guest = await edge.signed_in("grace@example.com"), await edge.signed_in()
    await host.post("/api/organizations", {"name": "Harbour"})
    for name in ("Clinic", "Lighthouse"):
        await guest.post("/api/organizations", {"name": name})
    await host.post("/api/team/invites", {"email": "ada@example.com", "role": "viewer"})
    page = (await (await edge.signed_in()).get("/")).text
    assert "You are invited to:" in page and "<li>Harbour" in page
    assert "You are also a member of:" in page and "Lighthouse" in page


def without_control(home: Path, console_dir: Path) -> GatewaySettings:
    """Settings of a gateway that reaches no control."""
    return GatewaySettings(
        home=home,
        gateway_listen="127.0.0.1:0",
        control_address=f"127.0.0.1:{free_port('127.0.0.1')}",
        public_url=PUBLIC,
        drain_seconds=1,
        linger_seconds=0,
        control_seconds=0.5,
        console_dir=console_dir,
    )


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[str]:
    async with gateway.serve(without_control(tmp_path, tmp_path / "console")) as ports:
        yield f"http://127.0.0.1:{ports.public}"


async def test_the_pages_stand_while_control_is_away(alone: str) -> None:
    async with httpx.AsyncClient(base_url=alone, trust_env=False) as http:
        assert (await http.get("/docs")).status_code == 200
        page = await http.get("/")
        assert page.status_code == 200 and "no sign-in provider is set" in page.text
        page = await http.get("/", headers={"Cookie": f"{SESSION}={'x' * 43}"})
        assert page.status_code == 503 and "can't be told now" in page.text and page.headers["retry-after"] == "1"


@pytest.mark.parametrize("limits", [{"unknown_rate_burst": 5, "unknown_rate_per_second": 0.01}])
async def test_a_stranger_with_invented_sessions_is_limited(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        pages = [await http.get("/", headers={"Cookie": f"{SESSION}={at:043}"}) for at in range(10)]
        assert [page.status_code for page in pages] == [200] * 5 + [429] * 5
        assert "too many requests" in pages[-1].text
        assert (await http.get("/")).status_code == 200


# --- the reference ------------------------------------------------------------------------------------------------


SCRIPT = "assets/reference-0a1b.js"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder where the script of the reference is built; `edge` serves what is in it."""
    folder = tmp_path / "console"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("the console")
    (folder / "manifest.json").write_text(json.dumps({ENTRY: {"file": SCRIPT, "isEntry": True}}))
    (folder / SCRIPT).write_text("fetch('/openapi.json')")
    return folder


@pytest.mark.usefixtures("built")
async def test_the_reference_comes_from_this_host_alone(alone: str) -> None:
    async with httpx.AsyncClient(base_url=alone, trust_env=False) as http:
        page, again = await http.get("/docs"), await http.get("/docs")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-store" and page.headers["x-content-type-options"] == "nosniff"
        (nonce,) = set(re.findall(r'nonce="([\w-]{20,})"', page.text))
        rules = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))
        assert rules == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": f"'nonce-{nonce}'",
            "connect-src": "'self'",
            "img-src": "'self' data:",
            "font-src": "data:",
            **dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'"),
        }
        assert nonce not in again.text, "each answer has its own"
        assert re.findall(r'(?:src|href)="([^"]*)"', page.text) == [
            "/icon.svg",
            f"/{SCRIPT}",
            "/",
            "/guides",
            "/openapi.json",
        ]
        assert "//" not in page.text and page.text.count("<script") == 1 and "></script>" in page.text
        assert (await http.get(f"/{SCRIPT}")).status_code == (await http.get("/openapi.json")).status_code == 200
        assert (await http.get("/docs/nothing")).json()["error"]["code"] == "not_found"
        assert (await http.post("/docs")).status_code == 405


async def test_a_reference_that_is_not_built_says_so(alone: str) -> None:
    async with httpx.AsyncClient(base_url=alone, trust_env=False) as http:
        page = await http.get("/docs")
        assert page.status_code == 200 and "make console" in page.text and 'href="/openapi.json"' in page.text
        assert "script-src" not in page.headers["content-security-policy"]


# --- a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_a_browser_shows_the_pages_on_a_phone_and_at_a_desk(edge: Edge, issuer: Issuer, tmp_path: Path) -> None:
    token = (await edge.signed_in()).cookies[SESSION]
    port = free_port("127.0.0.1")
    here = f"http://127.0.0.1:{port}"
    own = {"gateway_listen": f"127.0.0.1:{port}", "public_url": here, "console_dir": tmp_path / "console"}
    settings = gateway_settings(edge.plane, issuer.url, tmp_path, **own)
    async with gateway.serve(settings), chromium(tmp_path) as tab:
        for path in ("/", "/docs"):
            for width in (PHONE, DESK):
                await tab.show(here + path, width)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                assert tab.complaints() == [], path
                styled = await tab.evaluate("getComputedStyle(document.querySelector('.top')).position")
                assert styled == "sticky", path
        # Signing out with the page's own button: the browser says where the form came from.
        await tab.call("Network.setCookie", name="hum_session", value=token, url=here, httpOnly=True, sameSite="Lax")
        await tab.show(here)
        assert "ada@example.com" in await tab.evaluate("document.body.innerText")
        await tab.click("form[action^='/auth/link'] button")
        assert await tab.evaluate("location.origin") == issuer.url, "no policy holds the form back"
        await tab.show(here)
        await tab.click("form[action='/auth/logout'] button")
        assert "You are not signed in" in await tab.evaluate("document.body.innerText")
        cookies = (await tab.call("Network.getCookies", urls=[here]))["cookies"]
        assert "hum_session" not in {cookie["name"] for cookie in cookies}


@pytest.mark.browser
async def test_a_browser_shows_an_operation_of_the_reference_and_finds_another(tmp_path: Path) -> None:
    """The reference as it is built; `make check-browser` builds it first."""
    async with gateway.serve(without_control(tmp_path, STATIC)) as ports, chromium(tmp_path) as tab:
        here = f"http://127.0.0.1:{ports.public}"
        for width in (PHONE, DESK):
            await tab.show(f"{here}/docs", width)
            await until(lambda: tab.evaluate("document.querySelector('h1')?.innerText.includes('HUM')"))
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert await tab.evaluate("document.body.innerText.includes('Idempotency')"), "the contract's sections"
        assert await tab.evaluate("document.querySelector('[aria-label=\"More actions\"]') === null"), (
            "it offers other hosts"
        )
        await until(
            lambda: tab.evaluate(
                "!document.querySelector('[data-testid=search-trigger]').innerText.includes('Loading')"
            )
        )
        await tab.evaluate(CLICK.format("[data-testid=search-trigger]"))
        await until(lambda: tab.evaluate("document.activeElement.closest('[data-testid=search-dialog]') !== null"))
        await tab.call("Input.insertText", text="hang up")
        await until(lambda: tab.evaluate(f"document.querySelector('{FOUND}') !== null"))
        await tab.evaluate(CLICK.format(FOUND))
        await until(lambda: tab.evaluate("document.body.innerText.includes('/api/calls/{id}/hangup')"))
        loaded = await tab.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
        assert all(each.startswith((here, "data:")) for each in loaded), loaded
        assert tab.complaints() == []
