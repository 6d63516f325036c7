"""The live stream's form of campaigns."""

from collections.abc import Sequence
from uuid import UUID

from control.campaigns import present
from control.changestreams import Presentation
from hum.v1 import campaigns_pb2
from storage import campaigns
from storage.db import Tx


async def _campaigns(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, campaigns_pb2.Campaign]:
    return {id: present.campaign(row) for id, row in (await campaigns.get_many(tx, ids)).items()}


CAMPAIGN = Presentation(_campaigns, "campaign_updated", "campaign_updated")
