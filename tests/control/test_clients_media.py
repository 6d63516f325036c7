"""Files of texts: fetched from the carrier's hosts alone, our credentials shown to its API alone, whatever the other side does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from control.clients import http
from control.clients.twilio import File, MediaRefused, Twilio
from control.clients.twilio_media import API_HOST
from hum.contract.errors import CarrierError
from hum.settings import ControlSettings
from sandbox.twilio import Carrier, Fault
from tests.support.present import present

ACCOUNT, TOKEN, NUMBER, PERSON = "AC" + "2" * 32, "token", "+13175550100", "+14155550123"
FILE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/ME{'1' * 32}"


def client(url: str, **more: object) -> Twilio:
    return Twilio(
        ControlSettings(twilio_account_sid=ACCOUNT, twilio_auth_token=TOKEN, twilio_api_base_url=url, **more),  # type: ignore[arg-type]
        2,
    )


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER]) as running:
        yield running


def received(carrier: Carrier, content: bytes = b"\x89PNG", content_type: str = "image/png; charset=binary") -> str:
    got = carrier.text(NUMBER, PERSON, "look", (content_type, content))
    return f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Messages/{got.sid}/Media/{got.media[0].sid}"


async def test_a_file_is_fetched_with_our_credentials_and_over_its_redirect(carrier: Carrier) -> None:
    twilio, url = client(carrier.url), received(carrier)
    for account in ("", ACCOUNT):
        content_type, content = await twilio.fetch_media(url, account, 1000)
        assert (content_type, content) == ("image/png", b"\x89PNG")
    await twilio.close()


async def test_a_file_is_bounded_and_one_that_is_gone_is_refused_but_not_one_that_is_not_there_yet(
    carrier: Carrier,
) -> None:
    twilio, url = client(carrier.url), received(carrier, b"x" * 1001)
    with pytest.raises(MediaRefused, match="larger"):
        await twilio.fetch_media(url, "", 1000)
    assert len((await twilio.fetch_media(url, "", 1001)).content) == 1001
    with pytest.raises(CarrierError, match="404") as absent:  # the carrier may tell of a file before it can be had
        await twilio.fetch_media(url[:-32] + "0" * 32, "", 1000)
    assert not isinstance(absent.value, MediaRefused)
    carrier.inject_faults(Fault("media", "error", status=410))
    with pytest.raises(MediaRefused, match="410") as gone:
        await twilio.fetch_media(url, "", 1000)
    assert gone.value.metadata == {"carrier_status": "410"}
    await twilio.close()


@pytest.mark.parametrize(
    "fault", [Fault("media", "error"), Fault("media", "cut", times=2), Fault("media", "busy"), Fault("media", "hang")]
)
async def test_what_passes_may_be_asked_for_again(carrier: Carrier, fault: Fault) -> None:
    twilio, url = client(carrier.url, media_seconds=2.0), received(carrier)
    carrier.inject_faults(fault)
    with pytest.raises(CarrierError) as error:
        await twilio.fetch_media(url, "", 1000)
    assert not isinstance(error.value, MediaRefused)
    assert (await twilio.fetch_media(url, "", 1000)).content == b"\x89PNG"
    await twilio.close()


async def test_credentials_that_are_wrong_say_nothing_of_the_file(carrier: Carrier) -> None:
    stranger = Twilio(
        ControlSettings(twilio_account_sid=ACCOUNT, twilio_auth_token="x", twilio_api_base_url=carrier.url), 2
    )
    with pytest.raises(CarrierError) as error:
        await stranger.fetch_media(received(carrier), "", 1000)
    assert not isinstance(error.value, MediaRefused)
    await stranger.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com" + FILE,
        "https://api.twilio.com.example.com" + FILE,
        "https://api.twilio.com@example.com" + FILE,
        "https://api-twilio.com" + FILE,
        "https://api.x.y.z.twilio.com" + FILE,
        "http://api.twilio.com" + FILE,
        "https://api.twilio.com:8443" + FILE,
        "https://media.twiliocdn.com" + FILE,
        "https://api.twilio.com" + FILE.replace(ACCOUNT, "AC" + "3" * 32),
        "https://api.twilio.com/2010-04-01/Accounts.json",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/../Calls.json",
        "https://api.twilio.com" + FILE + "/../../../../Calls.json",
        "file:///etc/passwd",
        "https://169.254.169.254" + FILE,
        "",
        "x" * 5000,
    ],
)
async def test_only_a_file_of_the_account_at_the_carrier_is_asked_for(url: str) -> None:
    twilio = client("https://api.twilio.com")
    with pytest.raises(MediaRefused):
        await twilio.fetch_media(url, "", 1000)
    await twilio.close()


def test_the_carriers_regions_are_its_api_too() -> None:
    hosts = [
        "api.twilio.com",
        "api.ie1.twilio.com",
        "api.dublin.ie1.twilio.com",
        "xapi.twilio.com",
        "api.twilio.com.evil.com",
    ]
    assert [API_HOST.fullmatch(each) is not None for each in hosts] == [True, True, True, False, False]


@contextlib.asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Gives these answers, one for each request, the last for good; yields its URL, and what it was asked."""
    asked, left = list[bytes](), list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}", asked


def redirect(to: str) -> bytes:
    return (
        f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    )


FOUND = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 3\r\nConnection: close\r\n\r\nGIF"


async def test_credentials_do_not_follow_a_redirect() -> None:
    async with server(redirect("/elsewhere"), FOUND) as (url, asked):
        twilio = client(url)
        assert await twilio.fetch_media(url + FILE, "", 1000) == File("image/gif", b"GIF")
        assert [b"Authorization:" in each for each in asked] == [True, False]
        await twilio.close()


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1:9/x",
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/x",
        "https://s3.amazonaws.com/another-bucket/x",
        "https://twiliocdn.com.example.com/x",
        "http://media.twiliocdn.com/x",
        "https://media.twiliocdn.com:444/x",
        "https://user:secret@media.twiliocdn.com/x",
        "gopher://x",
        "//example.com/x",
    ],
)
async def test_a_redirect_leads_to_the_carriers_hosts_only(to: str) -> None:
    async with server(redirect(to)) as (url, asked):
        twilio = client(url)
        with pytest.raises(MediaRefused):
            await twilio.fetch_media(url + FILE, "", 1000)
        assert len(asked) == 1
        await twilio.close()


async def test_the_content_server_is_reached_over_the_guarded_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(host: str, _: int) -> list[str]:
        looked_up.append(host)
        return ["10.0.0.1"]

    looked_up = list[str]()
    monkeypatch.setitem(present(http.GuardedClient.__init__.__kwdefaults__), "lookup", nowhere)
    for place in ("https://mms.twiliocdn.com/a/b?c=d", "https://s3-external-1.amazonaws.com/media.twiliocdn.com/a/b"):
        async with server(redirect(place)) as (url, _):
            twilio = client(url)
            with pytest.raises(MediaRefused, match="not public"):
                await twilio.fetch_media(url + FILE, "", 1000)
            await twilio.close()
    assert looked_up == ["mms.twiliocdn.com", "s3-external-1.amazonaws.com"]


async def test_redirects_end() -> None:
    async with server(redirect("/again")) as (url, asked):
        twilio = client(url)
        with pytest.raises(MediaRefused, match="too many times"):
            await twilio.fetch_media(url + FILE, "", 1000)
        assert len(asked) == 4
        await twilio.close()


async def test_a_file_that_never_ends_is_given_up() -> None:
    endless = (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
    )
    async with server(endless * 1 + (b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n") * 50) as (url, _):
        twilio = client(url)
        with pytest.raises(MediaRefused, match="larger"):
            await twilio.fetch_media(url + FILE, "", 100_000)
        await twilio.close()
