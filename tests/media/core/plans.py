"""Plans of calls, and the audio of their prompts."""

from media.core.legmessages import HangUp
from media.core.modelmessages import Tool, TurnModel
from media.core.plans import Prompt, PromptKind
from tests.support.plans import call_plan, changed

GREETING = bytes(range(1, 251)) * 64  # 2 s
ANNOUNCEMENT = bytes(range(2, 252)) * 32  # 1 s
PLAN = call_plan(
    "Be kind.",
    TurnModel("gpt-realtime", "marin", "whisper"),
    prompts={
        PromptKind.GREETING: Prompt("Hello and welcome to the shop", GREETING),
        PromptKind.ANNOUNCEMENT: Prompt("This call is recorded", ANNOUNCEMENT),
        PromptKind.GOODBYE: Prompt("Goodbye then", bytes(800)),
        PromptKind.APOLOGY: Prompt("Sorry, please call again", bytes(800)),
        PromptKind.HOLD: Prompt("One moment please", bytes(1600)),
    },
    idle_prompts=(Prompt("Are you there", bytes(800)),) * 2,
    fillers=(Prompt("Let me look", bytes(800)),),
)
BARE = changed(PLAN, prompts={}, idle_prompts=(), fillers=())
TOOLS = (Tool("look_up", "", "{}", 20_000), Tool("end_call", "", "{}", outcome=HangUp("agent")))
