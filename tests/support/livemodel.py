"""GPT-Live's stand-in behind two links, in virtual time, as the model of a `Phone`."""

import json
from random import Random
from typing import Any

from realtime.conversation import RealtimeConversation
from realtime.ids import counted
from sandbox.openai.live.record import LiveRecord
from sandbox.openai.live.session import LiveSession
from sandbox.openai.live.truth import LiveTruth
from sandbox.openai.script import Turn
from sandbox.openai.settings import Faults, LiveFaults, LiveSettings, Settings
from sandbox.openai.stage import StandInStage
from tests.sandbox.openai.live.room import CLIENT, conforms
from tests.support.simulation import Deliver, FarEnd, Player, Seconds, Voice, World


class LiveModel(FarEnd):
    """The stand-in's sessions, one after another, with a voice that says a word every 100 ms."""

    def __init__(
        self,
        world: World,
        deliver: Deliver,
        delay: float = 5.0,
        jitter: float = 0.0,
        answer_ms: int = 3_000,
        seed: int = 9,
        faults: LiveFaults | None = None,
        **live: Any,
    ) -> None:
        """Prepare sessions without opening one; `live` are the stand-in's settings."""
        random = Random(seed)
        super().__init__(world, deliver, delay, jitter, random)
        self.player = Player()
        self.voice = Voice(self.player, random)
        self.voice.answer_ms = answer_ms
        self.faults = Faults(live=faults or LiveFaults())
        self.settings = Settings(speech_dbfs=-80, live=LiveSettings(**live))
        self.received: list[dict[str, Any]] = []
        self.refusals: list[str] = []
        self.truths: list[LiveTruth] = []
        self.open = False
        self._new_id = counted()
        self._session: LiveSession

    def connect(self) -> None:
        """Open a new session."""
        if self.truths:
            self._session.close()
        truth = LiveTruth(self._new_id("live"), "")
        self.truths.append(truth)
        stage = StandInStage.of(
            self._send,
            RealtimeConversation(),
            truth,
            self.player,
            self.voice,
            self.settings,
            self.faults,
            Seconds(self.world),
            self._new_id,
        )
        self._session = LiveSession(stage, truth.live, 9, lambda _: None)
        self.open = True
        self._session.begin()

    def answers(self, *turns: Turn) -> None:
        """Say or do this when the caller has spoken."""
        self.player.turns += turns

    @property
    def live(self) -> LiveRecord:
        """The record of the newest session."""
        return self.truths[-1].live

    def told(self, kind: str) -> list[str]:
        """Return the texts of this kind that were appended to the newest session."""
        return [each.content for each in self.live.appended if each.kind == kind]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == type]

    def expire(self) -> None:
        self._session.expire()

    def _send(self, event: dict[str, Any]) -> None:
        if not self.open:
            return
        if event["type"] == "error":
            self.refusals.append(event["error"]["message"])
        self.back.send(json.dumps(event).encode())

    def _arrived(self, payload: bytes) -> None:
        if self.open:
            event = json.loads(payload)
            assert conforms(event, CLIENT), event
            self.received.append(event)
            self._session.handle(payload)
