"""response.create and what follows, over a real socket."""

import asyncio
import json
import time

from sandbox.openai import SessionTruth
from sandbox.speech import sound
from tests.sandbox.openai.conftest import dominant_hz, silence, speech
