"""The channels of the bus on which control's processes exchange messages about calls."""

from uuid import UUID

from control.bus import BusChannel, of_messages
from hum.v1 import runtime_pb2
from storage import browser_calls, call_events, media_links

#: A call has a new event; sent by the transaction that appended it (`storage.call_events.append`).
CHANGED = BusChannel(call_events.CHANNEL, UUID, str)
#: A media process linked or left, or began or ceased to take calls (`storage.media_links`).
LINKS = BusChannel(media_links.CHANNEL, str, str)
#: A media process has replied to the offer of this call (`storage.browser_calls`).
BROWSERS = BusChannel(browser_calls.CHANNEL, UUID, str)
#: A command, for the process with the media process's link; by the media process's name.
COMMANDS = of_messages("hum_commands", runtime_pb2.NodeCommand, key=lambda command: command.node)
#: The outcome of a command, for the process that sent it.
ANSWERS = of_messages("hum_command_answers", runtime_pb2.CommandAnswer)
#: The live transcript, for clients that follow a call.
DELTAS = of_messages("hum_deltas", runtime_pb2.CallDeltas)

ALL = (CHANGED, LINKS, BROWSERS, COMMANDS, ANSWERS, DELTAS)
