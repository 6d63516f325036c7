"""Where the calls of this process come from, and who takes the offers of browsers."""

from collections.abc import Callable, Sequence

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb


class Offers:
    def __init__(self) -> None:
        self.takes: Sequence[calls_pb2.CallOrigin.ValueType] = (calls_pb2.CALL_ORIGIN_PHONE,)
        self.on_offer: Callable[[pb.BrowserOffer], None] = lambda _: None
