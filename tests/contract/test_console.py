"""The console's files, as a browser gets them.  A small one stands in for what `make` builds."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import Edge
from tests.support.cases import in_turn

SCRIPT = b"export const words = 'a call is a call';\n" * 100


@pytest.fixture
def public_socket(tmp_path: Path) -> dict[str, object]:
    assets = tmp_path / "console" / "assets"
    assets.mkdir(parents=True)
    (assets / "index-0a1b.js").write_bytes(SCRIPT)
    (assets / "index-0a1b.js.br").write_bytes(b"packed by the build")
    (assets / "letters-0a1b.woff2").write_bytes(b"wOF2" + bytes(4000))
    (tmp_path / "console" / "theme.js").write_text("0")
    (tmp_path / "console" / "manifest.json").write_text("{}")
    (tmp_path / "console" / "index.html").write_text('<meta property="csp-nonce" nonce="__CSP_NONCE__">the console')
    return {}


@pytest.fixture
async def stranger(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as client:
        yield client


async def test_a_worker_may_follow_the_stream(stranger: httpx.AsyncClient) -> None:
    """The policy of a worker is that of its own file."""
    script = await stranger.get("/assets/index-0a1b.js")
    assert "connect-src 'self'" in script.headers["content-security-policy"]


@in_turn(("path",), ["/", "/calls", "/calls/call_01ARZ3NDEKTSV4RRFFQ69G5FAV", "/sign-in?return_to=/calls"])
async def test_every_page_is_the_one_page(stranger: httpx.AsyncClient, path: str) -> None:
    answer = await stranger.get(path)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "same-origin"
    assert "the console" in answer.text


async def test_each_answer_has_a_nonce_of_its_own(stranger: httpx.AsyncClient) -> None:
    answers = [await stranger.get("/") for _ in range(2)]
    nonces = [re.findall(r'nonce="([\w-]{20,})"', answer.text) for answer in answers]
    assert nonces[0] != nonces[1]
    for answer, (nonce,) in zip(answers, nonces, strict=True):
        policy = answer.headers["content-security-policy"]
        assert f"style-src 'self' 'nonce-{nonce}'" in policy and "script-src 'self';" in policy
        assert "unsafe" not in policy and policy.startswith("default-src 'none'")


async def test_assets_stay_for_ever_and_come_packed(stranger: httpx.AsyncClient) -> None:
    plain = await stranger.get("/assets/index-0a1b.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == SCRIPT and "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript") and plain.headers["vary"] == "Accept-Encoding"
    zipped = await stranger.get("/assets/index-0a1b.js", headers={"Accept-Encoding": "deflate, gzip;q=0.8"})
    assert zipped.headers["content-encoding"] == "gzip" and zipped.content == SCRIPT
    assert int(zipped.headers["content-length"]) < len(SCRIPT)
    async with stranger.stream("GET", "/assets/index-0a1b.js", headers={"Accept-Encoding": "gzip, br"}) as best:
        raw = b"".join([part async for part in best.aiter_raw()])
    assert (best.headers["content-encoding"], raw) == ("br", b"packed by the build")
    font = await stranger.get("/assets/letters-0a1b.woff2", headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in font.headers and font.content.startswith(b"wOF2")
    theme = await stranger.get("/theme.js")
    assert theme.headers["cache-control"] == "no-cache"


@in_turn(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/api/nothing", "/auth/nothing", "/hooks", "/twilio/nothing", "/stripe/nothing")),
        *(("GET", path) for path in ("/assets/gone-0a1b.js", "/manifest.json", "/assets/../../app.py", "/favicon.ico")),
        *(("GET", path) for path in ("/assets/index-0a1b.js.br", "/assets/%2e%2e/%2e%2e/secrets.toml")),
        ("POST", "/calls"),
        ("DELETE", "/"),
    ],
)
async def test_what_is_no_page_stays_not_found(stranger: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await stranger.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), answer.text
