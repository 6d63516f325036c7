"""Execution of TwiML for one call."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urljoin

from sandbox.audio import BYTES_PER_MS
from sandbox.loopclock import now
from sandbox.twilio import recordings, tones, twiml
from sandbox.twilio.call import Call, Document, Fetch, Instruction
from sandbox.twilio.gather import Keys
from sandbox.twilio.heardaudio import Playback
from sandbox.twilio.stream import Stream
from sandbox.twilio.twiml import BadTwiml, Verb
from sandbox.twilio.webhooks import Courier, Webhook

APOLOGY = "We are sorry, an application error has occurred. Goodbye."
#: Verbs that do not answer a ringing call; a <Dial> decides that itself.
SILENT_VERBS = {"Reject", "Redirect", "Dial"}


class ActiveDial(Protocol):
    """A running <Dial>: its action's parameters as of now, and its run to the end."""

    @property
    def outcome(self) -> dict[str, str]: ...
    async def run(self) -> None: ...


Dial = Callable[[Call, Verb, str], ActiveDial]


class _HangUp(Exception):  # noqa: N818  (an ending, not an error)
    """The document ends the call; `status` is the call's final status."""

    def __init__(self, status: str = "completed") -> None:
        super().__init__(status)
        self.status = status


class Performer:
    def __init__(self, call: Call, courier: Courier, dial: Dial | None, say_ms_per_char: float) -> None:
        self.pending_action: Fetch | None = None
        """The action to request even if the caller hangs up before the verb ends."""
        self._call = call
        self._courier = courier
        self._dial = dial
        self._say_ms_per_char = say_ms_per_char
        self._base_url = ""

    async def perform(self, instruction: Instruction) -> str | None:
        """Execute documents; return None at the end of one, or the call's final status if a verb or an error ends the call."""
        following: Instruction | None = instruction
        try:
            while following is not None:
                following = await self._execute(await self._verbs(following))
        except _HangUp as end:
            return end.status
        return None

    async def request(self, fetch: Fetch) -> Webhook:
        """Send one webhook with the call's current parameters."""
        webhook = await self._courier.send(
            fetch.kind, fetch.url, self._call.parameters() | fetch.extra, fetch.method, self._record_webhook
        )
        answer = webhook.answer
        self._call.note(
            "webhook.answered", kind=webhook.kind, url=webhook.url, status=answer.status, took_ms=answer.took_ms
        )
        return webhook

    def _record_webhook(self, webhook: Webhook) -> None:
        self._call.webhooks.append(webhook)
        self._call.note("webhook.sent", kind=webhook.kind, url=webhook.url)

    async def _verbs(self, instruction: Instruction) -> list[Verb]:
        try:
            if isinstance(instruction, Document):
                return twiml.parse(instruction.twiml)
            return await self._fetch(instruction)
        except BadTwiml as bad:
            self._call.report(bad.code, str(bad))
            return await self._fall_back(instruction, bad.code)

    async def _fetch(self, fetch: Fetch) -> list[Verb]:
        webhook = await self.request(fetch)
        if webhook.error_code is not None:
            answer = webhook.answer
            raise BadTwiml(webhook.error_code, f"{fetch.url}: {answer.status or 'no answer'}")
        self._base_url = webhook.url
        return twiml.parse(webhook.answer.body, webhook.answer.content_type)

    async def _fall_back(self, instruction: Instruction, code: int) -> list[Verb]:
        """Try the fallback URL once; if there is none or it fails too, apologise and hang up."""
        fallback = self._call.fallback
        if fallback is None or (isinstance(instruction, Fetch) and instruction.kind == "fallback"):
            await self._apologise()
        assert fallback is not None
        parameters = {
            "ErrorCode": str(code),
            "ErrorUrl": instruction.url.partition("#")[0] if isinstance(instruction, Fetch) else "",
        }
        return await self._verbs(Fetch(fallback.url, fallback.method, "fallback", parameters))

    async def _apologise(self) -> None:
        self._call.answer()
        await self._say(APOLOGY)
        raise _HangUp

    async def _execute(self, verbs: list[Verb]) -> Instruction | None:
        for verb in verbs:
            if verb.name not in SILENT_VERBS:
                self._call.answer()
            self._call.verbs.append(verb)
            self._call.note("twiml.verb", verb=verb.name, attributes=verb.attributes)
            following = await self._do(verb)
            if following is not None:
                return following
        return None

    async def _do(self, verb: Verb) -> Instruction | None:
        match verb.name:
            case "Say" | "Play" | "Pause":
                await self._sound(verb)
            case "Hangup":
                raise _HangUp
            case "Reject":
                raise _HangUp("busy" if verb.get("reason") == "busy" else "no-answer")
            case "Redirect":
                return Fetch(urljoin(self._base_url, verb.text), verb.get("method", "POST").upper(), "redirect")
            case "Gather":
                return await self._gather(verb)
            case "Connect":
                return await self._connect(verb)
            case "Dial":
                if self._dial is None:
                    self._call.report(12200, "a whisper's document must not contain <Dial>")
                    raise _HangUp
                active_dial = self._dial(self._call, verb, self._base_url)
                self.pending_action = self._action(verb, active_dial.outcome)
                await active_dial.run()
                self.pending_action = None
                return self._action(verb, active_dial.outcome)
        return None

    async def _sound(self, verb: Verb) -> None:
        """Play <Say>, <Play> or <Pause>, `loop` times; 0 repeats forever."""
        if verb.name == "Pause":
            await asyncio.sleep(float(verb.get("length", "1")))
            return
        times = int(verb.get("loop", "1") or 1)
        while True:
            if verb.name == "Say":
                await self._say(verb.text)
            else:
                await self._play(verb)
            times -= 1
            if times == 0:
                return
            await asyncio.sleep(0)

    async def _say(self, text: str) -> None:
        self._call.sentences.append(text)
        self._call.note("said", text=text)
        await self._play_sound("say", tones.voice(text, self._say_ms_per_char))

    async def _play(self, verb: Verb) -> None:
        if digits := verb.get("digits"):
            await self._play_sound("play", tones.keys(digits))
            return
        url = urljoin(self._base_url, verb.text)
        webhook = await self._courier.send("play", url, {}, "GET", self._record_webhook)
        try:
            if webhook.error_code is not None:
                raise ValueError(f"{url}: {webhook.answer.status or 'no answer'}")
            sound = recordings.read(webhook.answer.content)
        except ValueError as error:
            self._call.report(webhook.error_code or 12300, str(error))
            return
        await self._play_sound("play", sound)

    async def _play_sound(self, what: str, sound: bytes) -> None:
        self._call.listen(what, Playback(sound, now()))
        try:
            await asyncio.sleep(len(sound) / BYTES_PER_MS / 1000)
        finally:
            self._call.listen("silence")

    async def _gather(self, verb: Verb) -> Instruction | None:
        keys, pressed = Keys.of(verb), asyncio.Event()

        def press(_: bytes, digit: str | None) -> None:
            if digit is not None:
                keys.press(digit)
                pressed.set()

        self._call.taps.append(press)
        prompt = asyncio.create_task(self._prompt(verb))
        try:
            await _first(prompt, pressed)
            prompt.cancel()
            while not keys.is_over:
                pressed.clear()
                async with asyncio.timeout(keys.timeout_s):
                    await pressed.wait()
        except TimeoutError:
            pass
        finally:
            prompt.cancel()
            await asyncio.gather(prompt, return_exceptions=True)
            self._call.taps.remove(press)
        self._call.note("gathered", digits=keys.pressed)
        if not keys.goes_to_action:
            return None
        action = urljoin(self._base_url, verb.get("action")) or self._base_url
        return Fetch(action, verb.get("method", "POST").upper(), "action", {"Digits": keys.pressed})

    async def _prompt(self, gather: Verb) -> None:
        for verb in gather.nouns:
            await self._sound(verb)

    async def _connect(self, verb: Verb) -> Instruction | None:
        call, noun = self._call, verb.noun("Stream")
        assert noun is not None, "the parser guarantees a <Stream>"
        stream = Stream(
            noun.get("url"),
            twiml.parameters(noun),
            call_sid=call.sid,
            account_sid=call.account_sid,
            path=call.path,
            journal=call.journal,
        )
        call.streams.append(stream)
        call.listen("stream")
        self.pending_action = self._action(verb, {})
        try:
            await stream.run(self._courier.auth_token)
        finally:
            call.errors += stream.errors
            call.listen("silence")
        action, self.pending_action = self.pending_action, None
        return action

    def _action(self, verb: Verb, extra: dict[str, str]) -> Fetch | None:
        action = verb.attributes.get("action")
        if action is None:
            return None
        return Fetch(urljoin(self._base_url, action), verb.get("method", "POST").upper(), "action", extra)


async def _first(task: asyncio.Task[None], event: asyncio.Event) -> None:
    """Wait for either; raise the task's failure."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    if task.done():
        task.result()
