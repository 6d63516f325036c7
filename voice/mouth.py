"""Speech synthesis by `/audio/speech`, piece by piece."""

from hum.cascades import MouthStage
from realtime.codec import Codec
from realtime.mind import Voiced
from voice import pcm
from voice.pcm import BadSound
from voice.stages import Chain, StageFailed, StageRequests, whole


class HttpMouth:
    """The mouth of a process's calls with one cascade."""

    def __init__(self, chain: Chain[MouthStage], requests: StageRequests) -> None:
        self._chain, self._requests = chain, requests

    async def utter(self, text: str, codec: Codec) -> Voiced:
        """Return the sound of a piece; a server that fails is followed by the next.  Raises StageFailed."""
        failure = StageFailed("no server")
        for stage in self._chain.order():
            try:
                return await self._ask(stage, text, codec)
            except BadSound as error:
                failure = StageFailed(f"it sent {error}")
            except StageFailed as error:
                failure = error
            self._chain.failed(stage, failure)
        raise failure

    async def _ask(self, stage: MouthStage, text: str, codec: Codec) -> Voiced:
        body = {"model": stage.model, "input": text, "voice": stage.voice, "response_format": "pcm"}
        most = pcm.most_bytes(text, stage.rate)
        content = await whole(self._requests.stream(stage, "/audio/speech", most, json=body))
        return pcm.voiced(content, stage.rate, text, codec)
