"""The pages for people, as the gateway serves them: who is signed in, `/docs`, its examples, and what a browser makes of it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app as gateway
from gateway import contract, openapi
from gateway.reference.content import Content
from gateway.reference.site import Site
from gateway.reference.snippets import KEY
from hum.process.sockets import free_port
from hum.settings import GatewaySettings
from sandbox.signin import Issuer
from tests.contract.conftest import PUBLIC, Edge
from tests.contract.test_generated_clients import SOURCES, TOOLS, run
from tests.support.browser import chromium

SESSION = "__Host-hum_session"
PHONE, DESK = 375, 1280
BY_FORM = {"Accept": "text/html,application/xhtml+xml"}


def content(server: str = PUBLIC) -> Content:
    return Content(openapi.document(contract.bindings(), server))


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


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[str]:
    """A gateway that reaches no control."""
    settings = GatewaySettings(
        home=tmp_path,
        gateway_listen="127.0.0.1:0",
        control_address=f"127.0.0.1:{free_port('127.0.0.1')}",
        public_url=PUBLIC,
        drain_seconds=1,
        linger_seconds=0,
        control_seconds=0.5,
        console_dir=tmp_path / "console",
    )
    async with gateway.serve(settings) as ports:
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


async def test_the_reference_is_kept_by_those_who_have_it(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        for path in ("/docs", "/docs/", "/docs/api/calls", "/docs/style.css"):
            page = await http.get(path)
            assert page.status_code == 200 and page.headers["content-encoding"] == "gzip", path
            assert page.headers["cache-control"] == "no-cache" and page.headers["vary"] == "Accept-Encoding"
            plain = await http.get(path, headers={"Accept-Encoding": "identity"})
            assert plain.text == page.text and "content-encoding" not in plain.headers
            again = await http.get(path, headers={"If-None-Match": page.headers["etag"]})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", page.headers["etag"])
            assert (await http.head(path)).status_code == 200
        assert (await http.post("/docs/api/calls")).status_code == 405


async def test_what_is_not_there_is_said_on_a_page(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        for path in ("/docs/nothing", "/docs/api/nothing", "/docs/reference/contract.md", "/docs/api%2fcalls/"):
            page = await http.get(path)
            assert page.status_code == 404 and "There is no such page" in page.text, path
        await http.get("/docs/search", params={"q": "x"})
        metrics = (await http.get(f"{edge.metrics_url}/metrics")).text
    lines = [line for line in metrics.splitlines() if line.startswith("hum_http_seconds_count") and '"/docs' in line]
    routes = {line.partition('route="')[2].partition('"')[0] for line in lines}
    assert routes <= {"/docs", "/docs/search", "/docs/{page:path}"}, "whatever strangers ask for"


async def test_the_search_answers_with_a_page(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        page = await http.get("/docs/search", params={"q": "hang up"})
        assert page.status_code == 200 and "/docs/api/calls#hangUpCall" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        for query in ({}, {"q": ""}, {"q": "x" * 5000}, {"q": "\x00<'\""}):
            assert (await http.get("/docs/search", params=query)).status_code == 200


# --- its examples -------------------------------------------------------------------------------------------------


async def output(edge: Edge, http: httpx.AsyncClient, language: str, operation: str, **ids: str) -> Any:
    """What an operation's example prints, with the server and the ids of this test in the place of its own."""
    shown = content()
    found = next(each for each in shown.operations if each.name == operation)
    code = next(each.code for each in shown.snippets(found) if each.language == language).replace(PUBLIC, edge.url)
    for name, value in ids.items():
        (example,) = [each["example"] for each in found.spec["parameters"] if each["name"] == name]
        assert example in code
        code = code.replace(example, value)
    command = ["bash", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    key = http.headers["Authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, KEY: key}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out) if language == "curl" else eval(out)


@pytest.mark.interop
@pytest.mark.parametrize("language", ["curl", "Python"])
async def test_the_examples_run(edge: Edge, language: str) -> None:
    http = await edge.client()
    made = await output(edge, http, language, "createFlow")
    assert made["name"] == "Front desk" and made["version"] == 1
    assert await output(edge, http, language, "getFlow", id=made["id"]) == made
    assert await output(edge, http, language, "updateFlow", id=made["id"]) == made  # its values are those that it has
    assert [each["id"] for each in (await output(edge, http, language, "listFlows"))["flows"]] == [made["id"]]
    assert (await output(edge, http, language, "getMe"))["role"] == "admin"
    contact = await output(edge, http, language, "createContact")
    assert (await output(edge, http, language, "getContact", id=contact["id"]))["phone_e164"] == contact["phone_e164"]


@pytest.mark.interop
async def test_the_example_of_a_list_reads_all_of_it(edge: Edge) -> None:
    http = await edge.client()
    for name in ("One", "Two"):
        await http.post("/api/flows", json={"name": name})
    shown = content(edge.url)
    guide = next(each for each in shown.guides if each.slug == "pagination")
    code = next(each.code for each in shown.examples(guide) if each.language == "Python").replace('"200"', '"1"')
    assert "/api/flows" in code
    key = http.headers["Authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), env={**os.environ, KEY: key}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    flows = (await http.get("/api/flows")).json()["flows"]
    assert process.returncode == 0 and len(out.splitlines()) == len(flows) == 2


@pytest.mark.interop
async def test_the_examples_in_typescript_compile(tmp_path: Path) -> None:
    shown = content()
    codes = {each.name: shown.snippets(each)[2].code for each in shown.operations}
    for guide in shown.guides:
        codes |= {f"guide-{guide.slug}": each.code for each in shown.examples(guide) if each.language == "TypeScript"}
    for name, code in codes.items():
        (tmp_path / f"{name}.mts").write_text(code + "\nexport {};\n")
    (tmp_path / "node.d.ts").write_text("declare const process: { env: Record<string, string | undefined> };\n")
    options = json.loads((SOURCES / "tsconfig.json").read_text())
    options["files"] = ["node.d.ts", *(f"{name}.mts" for name in codes)]
    (tmp_path / "tsconfig.json").write_text(json.dumps(options))
    await run(tmp_path, TOOLS / "npm/node_modules/.bin/tsc", "--noEmit", "-p", tmp_path)


# --- a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_a_browser_shows_the_pages_on_a_phone_and_at_a_desk(edge: Edge, issuer: Issuer, tmp_path: Path) -> None:
    token = (await edge.signed_in()).cookies[SESSION]
    port = free_port("127.0.0.1")
    settings = GatewaySettings(
        home=tmp_path,
        gateway_listen=f"127.0.0.1:{port}",
        control_address=f"127.0.0.1:{edge.plane.control.port}",
        public_url=f"http://127.0.0.1:{port}",
        drain_seconds=1,
        linger_seconds=0,
        oidc_issuer=issuer.url,
        oidc_client_id="hum",
        console_dir=tmp_path / "console",
    )
    here = settings.public_url
    pages = ["/", "/docs/search?q=call", "/docs/nothing"]
    pages += [f"/docs/{path}" for path in Site(content(here).document).pages if not path.endswith(".css")]
    async with gateway.serve(settings), chromium(tmp_path) as tab:
        for path in pages:
            for width in (PHONE, DESK):
                await tab.show(here + path, width)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                complaints = [each for each in tab.complaints() if "404" not in each]  # of the page that is not there
                assert complaints == [], path
                styled = await tab.evaluate("getComputedStyle(document.querySelector('.top')).position")
                assert styled == "sticky", path
        is_shown = "getComputedStyle(document.querySelector('#contents')).display != 'none'"
        for path, width, shown in (("/docs", DESK, True), ("/docs", PHONE, False), ("/docs#contents", PHONE, True)):
            await tab.show(here + path, width)
            assert await tab.evaluate(is_shown) is shown, (path, width)
        await tab.show(f"{here}/docs", DESK)
        await tab.evaluate("document.querySelector('input').value = 'hang up'")
        await tab.click(".search button")
        assert "hangUpCall" in await tab.evaluate("document.querySelector('.found').innerHTML")
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
