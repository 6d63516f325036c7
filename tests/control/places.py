"""Places for calls, where no media process is known: every call is offered a stream."""

from collections.abc import Callable
from typing import Any

from control.calls.admission import CallAdmission
from hum.settings import ControlSettings
from storage.db import Db


class NoBus:
    """Tells nobody anything."""

    def subscribe(self, channel: Any, listener: Callable[[Any], None], key: str = "") -> Callable[[], None]:
        return lambda: None

    async def publish(self, channel: Any, message: Any) -> bool:
        return True


def call_admission(db: Db) -> CallAdmission:
    return CallAdmission(db, NoBus(), ControlSettings())
