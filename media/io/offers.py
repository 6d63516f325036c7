"""The origins of the calls that this process takes, and its handler of browsers' offers."""

from collections.abc import Callable, Sequence

from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb


class Offers:
    """The origins that control may send here, and the callback for a browser's offer."""

    def __init__(self) -> None:
        self.takes: Sequence[calls_pb2.CallOrigin.ValueType] = (calls_pb2.CALL_ORIGIN_PHONE,)
        self.on_offer: Callable[[pb.BrowserOffer], None] = lambda _: None
