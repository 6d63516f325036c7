"""What control's processes say to each other about calls."""

from uuid import UUID

from control.bus import Channel, of_messages
from hum.v1 import runtime_pb2
from storage.call_events import CHANNEL

#: A call has a new event; the transaction that appended it says so (`storage.call_events.append`).
CHANGED = Channel(CHANNEL, UUID, str)
#: For the process that has a media process's link.
COMMANDS = of_messages("hum_commands", runtime_pb2.NodeCommand)
#: Transcript as it comes, for whoever reads along.
DELTAS = of_messages("hum_deltas", runtime_pb2.CallDeltas)

ALL = (CHANGED, COMMANDS, DELTAS)
