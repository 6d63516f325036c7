"""What control's processes say to each other about calls."""

from uuid import UUID

from control.bus import Channel, of_messages
from hum.v1 import runtime_pb2
from storage import call_events, media_links

#: A call has a new event; the transaction that appended it says so (`storage.call_events.append`).
CHANGED = Channel(call_events.CHANNEL, UUID, str)
#: A media process has come or gone, or takes calls now, or no longer does (`storage.media_links`).
LINKS = Channel(media_links.CHANNEL, str, str)
#: For the process that has a media process's link.
COMMANDS = of_messages("hum_commands", runtime_pb2.NodeCommand)
#: Transcript as it comes, for whoever reads along.
DELTAS = of_messages("hum_deltas", runtime_pb2.CallDeltas)

ALL = (CHANGED, LINKS, COMMANDS, DELTAS)
