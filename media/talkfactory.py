"""The choice of a session's core: conversation or mailbox."""

from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from media.core.conversation import Conversation
from media.core.mailbox import Mailbox
from media.core.talk import Talk
from media.io.silero import Silero
from media.plan import mailbox_plan_of, plan_of


def talk_of(session: pb.OpenSessionResponse, settings: MediaSettings, silero: Silero | None) -> Talk:
    """Return the core of a session.  Raises ValueError, TypeError or AttributeError for a flow that violates the contract."""
    if session.HasField("mailbox"):
        return Mailbox(mailbox_plan_of(session, settings))
    return Conversation(plan_of(session, settings), silero.detector() if silero else None)
