"""The live stream's forms of conversations and messages."""

from collections.abc import Sequence
from uuid import UUID

from control.following import Shown
from control.texts import present
from hum.v1 import sms_pb2
from storage import inbox_changes
from storage.db import Tx


async def _messages(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, sms_pb2.Message]:
    return {id: present.message(row) for id, row in (await inbox_changes.messages(tx, ids)).items()}


async def _conversations(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, sms_pb2.Conversation]:
    return {id: present.conversation(row) for id, row in (await inbox_changes.threads(tx, ids)).items()}


#: A deleted message is not announced: it goes with its conversation, or by age.
MESSAGE = Shown(_messages, "message_created", "message_updated")
CONVERSATION = Shown(_conversations, "conversation_updated", "conversation_updated")
