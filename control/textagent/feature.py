"""The feature of the AI in texts: its turns, its tools, and the text that the agent of a call sends."""

from datetime import timedelta

from control.crm.asking import Asking
from control.crm.lookups import Lookups
from control.feature import Deps, Feature, Sweep
from control.textagent import rules
from control.textagent.dialogue import Dialogue
from control.textagent.rules import Limits
from control.textagent.servicer import TextRunsServicer
from control.textagent.stopping import stop_texting
from control.textagent.texting import send_text
from control.textagent.tools import TextTools
from control.textagent.turns import Turns
from hum.settings import ControlSettings
from hum.v1 import text_runs_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    limits = Limits(
        turns_per_pair=settings.text_turns_per_pair,
        turns_per_organization=settings.text_turns_per_organization,
        attempts=settings.text_turn_attempts,
        reply_segments=settings.text_reply_segments,
        seconds=settings.text_turn_seconds,
    )
    tool_ms = round(settings.tool_seconds * 1000)
    responder = deps.outside.responder
    dialogue = Dialogue(deps.db, responder, deps.tools, settings.text_reply_segments, settings.text_reply_tokens)
    texters = Lookups(deps.db, Asking(deps.db, deps.web, deps.keyring, settings), settings)
    stuck = timedelta(seconds=settings.text_turn_stuck_seconds)
    turns = Turns(deps.db, responder, dialogue, limits, stuck, texters.of_turn)
    return Feature(
        services={text_runs_pb2.DESCRIPTOR.services_by_name["TextRunsService"]: TextRunsServicer(deps.cursors)},
        jobs={rules.TURN: turns.turn},
        sweeps=[Sweep("text_turns", turns.start_due, settings.text_turn_look_seconds)],
        tools=[
            *TextTools(deps.db, tool_ms, settings.text_reply_segments).all(),
            *stop_texting(deps.db, tool_ms),
            send_text(deps.db, tool_ms, settings.texts_per_call, settings.text_reply_segments),
        ],
    )
