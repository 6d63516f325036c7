"""The feature of the AI in texts: its turns, its tools, and the text that the agent of a call sends."""

from datetime import timedelta

from control.crm.client import ConnectorClient
from control.crm.lookups import CrmLookups
from control.feature import Deps, Feature, Sweep
from control.textagent import turndecision
from control.textagent.dialogue import TextDialogue
from control.textagent.servicer import TextRunsServicer
from control.textagent.stopping import stop_texting
from control.textagent.texting import send_text
from control.textagent.tools import TextTools
from control.textagent.turndecision import TurnLimits
from control.textagent.turns import Turns
from hum.settings import ControlSettings
from hum.v1 import text_runs_pb2
from storage import text_runs

#: Seconds that the AI may take for one answer to a text, tools included.
TEXT_TURN_SECONDS = 60.0
#: Attempts at the model for one answer to a text; then a person gets the conversation.
TEXT_TURN_ATTEMPTS = 3
#: Seconds after which an abandoned answer is begun again.
TEXT_TURN_STUCK_SECONDS = 300.0
#: Answers of the AI between two numbers in 24 hours; then a person gets the conversation.
TEXT_TURNS_PER_PAIR = 200
#: An organization's answers of the AI to texts in 24 hours.
TEXT_TURNS_PER_ORGANIZATION = 5000
#: Tokens that the model may write in one step of an answer to a text.
TEXT_REPLY_TOKENS = 4000
#: Texts that an agent may send from one call.
TEXTS_PER_CALL = 3


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = TurnLimits(
        turns_per_pair=TEXT_TURNS_PER_PAIR,
        turns_per_organization=TEXT_TURNS_PER_ORGANIZATION,
        attempts=TEXT_TURN_ATTEMPTS,
        reply_segments=settings.text_reply_segments,
        seconds=TEXT_TURN_SECONDS,
    )
    tool_ms = round(settings.tool_seconds * 1000)
    responder = deps.clients.responder
    dialogue = TextDialogue(deps.db, responder, deps.tools, settings.text_reply_segments, TEXT_REPLY_TOKENS)
    texters = CrmLookups(deps.db, ConnectorClient(deps.db, deps.web, deps.keyring, settings), settings)
    stuck = timedelta(seconds=TEXT_TURN_STUCK_SECONDS)
    turns = Turns(deps.db, responder, dialogue, limits, stuck, texters.of_turn)
    return Feature(
        services={text_runs_pb2.DESCRIPTOR.services_by_name["TextRunsService"]: TextRunsServicer(deps.cursors)},
        jobs={turndecision.TURN: turns.turn},
        sweeps=[Sweep("text_turns", turns.start_due, settings.text_turn_look_seconds, due=text_runs.due_seconds)],
        tools=[
            *TextTools(deps.db, tool_ms, settings.text_reply_segments).all(),
            *stop_texting(deps.db, tool_ms),
            send_text(deps.db, tool_ms, TEXTS_PER_CALL, settings.text_reply_segments),
        ],
    )
