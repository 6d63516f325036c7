"""The media plane with stand-ins on loopback: a carrier, a model that follows OpenAI's rules, a control that stores."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hum.process.sockets import free_port
from hum.settings import MediaSettings
from media import app
from sandbox.serving import serving
from sandbox.twilio import Call, simulate_call
from tests.media.fakecontrol import NODE_KEY, FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import ACCOUNT, TOKEN, MakeSettings, Plane, Ring, StartPlane
from tests.support.patient import PATIENT

NUMBER, PERSON = "+13175550100", "+14155550123"


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def control() -> AsyncIterator[FakeControl]:
    fake = FakeControl()  # type: ignore[abstract]  # what it does not answer is UNIMPLEMENTED
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def model() -> AsyncIterator[FakeModel]:
    fake = FakeModel()
    async with websockets.serve(
        fake.serve, "127.0.0.1", 0, process_request=fake.request, ping_interval=None, max_size=None, close_timeout=0.2
    ) as server:
        fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield fake


@pytest.fixture
def settings(control: FakeControl, model: FakeModel, tmp_path: Path) -> MakeSettings:
    """Makes the plane's settings."""

    def make(**changed: Any) -> MediaSettings:
        port = free_port("127.0.0.1")
        facts: dict[str, Any] = {
            "HUM_HOME": tmp_path,
            "HUM_NODE_KEY": NODE_KEY,
            "vad_confirm": False,  # callers here are noise
            "HUM_CONTROL_ADDRESS": f"127.0.0.1:{control.port}",
            "HUM_MEDIA_LISTEN": f"127.0.0.1:{port}",
            "HUM_MEDIA_URL": f"ws://127.0.0.1:{port}",
            "TWILIO_AUTH_TOKEN": f"new token,{TOKEN}",
            "OPENAI_API_KEY": "sk-secret",
            "OPENAI_BASE_URL": model.url,
            "HUM_DRAIN_SECONDS": 0,
            "link_retry_ms": 20,
            "model_retry_ms": 10,
            "end_ack_seconds": 1.0,
            **PATIENT,
            "min_free_bytes": 0,  # its disk may be nearly full as well
            "disk_check_seconds": 0.05,
        }
        return MediaSettings(**(facts | changed))

    return make


@pytest.fixture
async def plane(settings: MakeSettings) -> AsyncIterator[StartPlane]:
    """Starts planes; each is drained at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**changed: Any) -> Plane:
            given = settings(**changed)
            media = await stack.enter_async_context(app.build(given))
            return Plane(given, media)

        yield start


@pytest.fixture
async def ring() -> AsyncIterator[Ring]:
    """Calls through the carrier's stand-in: a call whose voice URL connects it to a plane."""
    twiml: dict[str, str] = {}

    async def voice_url(request: Request) -> Response:
        return Response(twiml.pop("next", "<Response><Hangup/></Response>"), media_type="text/xml")

    app = Starlette(routes=[Route("/{rest:path}", voice_url, methods=["POST"])])
    async with serving(app, "127.0.0.1:0") as (host, port):
        url = f"http://{host}:{port}/"

        async def call(plane: Plane, steps: list[dict[str, Any]], token: str = "t1", **more: Any) -> Call:
            stream = f'<Stream url="{plane.url}"><Parameter name="token" value="{token}"/></Stream>'
            twiml["next"] = f'<Response><Connect action="{url}next">{stream}</Connect></Response>'
            return await simulate_call(
                url, account_sid=ACCOUNT, auth_token=TOKEN, to=NUMBER, from_=PERSON, steps=steps, **more
            )

        yield call
