"""Pipecat's pipeline from Twilio to a realtime model, built as in its documentation, for workload M; prints its port.

    python bench/peers/pipecat_media.py --model ws://127.0.0.1:1/v1/realtime [--local-vad]

With `--local-vad` Silero runs in the bot and detects turns; else the model's server does.  Imports none of our code.
"""

import argparse
import asyncio
import socket
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    AudioOutput,
    PCMAudioFormat,
    SessionProperties,
    TurnDetection,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport

RATE_HZ = 8_000


async def talk(websocket: WebSocket, model_url: str, local_vad: bool) -> None:
    """Run one call."""
    await websocket.accept()
    _, call = await parse_telephony_websocket(websocket)
    serializer = TwilioFrameSerializer(
        stream_sid=call["stream_id"], params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
    )
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
    )
    listening = AudioInput(format=PCMAudioFormat(), turn_detection=False if local_vad else TurnDetection())
    properties = SessionProperties(
        instructions="You answer the telephone of a small hotel. Be brief.",
        audio=AudioConfiguration(input=listening, output=AudioOutput(format=PCMAudioFormat())),
    )
    model = OpenAIRealtimeLLMService(
        api_key="the benchmark's key",
        base_url=model_url,
        settings=OpenAIRealtimeLLMService.Settings(session_properties=properties),
    )
    detector = SileroVADAnalyzer() if local_vad else None
    user, assistant = LLMContextAggregatorPair(
        LLMContext([]), user_params=LLMUserAggregatorParams(vad_analyzer=detector), realtime_service_mode=True
    )
    task = PipelineTask(
        Pipeline([transport.input(), user, model, transport.output(), assistant]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
        idle_timeout_secs=None,
    )

    @transport.event_handler("on_client_disconnected")
    async def gone(*_: object) -> None:
        await task.cancel()

    await PipelineRunner(handle_sigint=False, handle_sigterm=False).run(task)


async def serve(model_url: str, local_vad: bool) -> None:
    app = FastAPI()

    @app.websocket("/media/twilio")
    async def stream(websocket: WebSocket) -> None:
        await talk(websocket, model_url, local_vad)

    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", loop="uvloop", ws_ping_interval=None)
    await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--local-vad", action="store_true")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asyncio.run(serve(options.model, options.local_vad))
