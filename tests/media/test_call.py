"""Whole calls over real sockets: the carrier's stand-in, the plane, a model, a control."""

import base64
import wave

import numpy as np

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from sandbox.twilio import say

from .conftest import tone, until, voice
