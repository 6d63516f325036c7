/** HUM's own tools, and what gives an agent each; as `control` offers them. */
import { isObject } from "@/ui/schema-form/schema";
import { type Draft, startOf } from "./flow";

export const BUILTINS = [
  "end_call",
  "transfer_to_number",
  "transfer_to_flow",
  "take_voicemail",
  "pause_recording",
  "resume_recording",
  "send_digits",
  "assign_to_human",
  "close_conversation",
  "transfer_sms_to_flow",
  "schedule_followup_sms",
  "report_outcome",
  "lookup_knowledge",
] as const;
export type Builtin = (typeof BUILTINS)[number];

/** Those of the agent's channel, and whether it has them as it is. */
export function builtinsOf(draft: Draft): { name: Builtin; isOn: boolean }[] {
  const start = startOf(draft);
  const targets = isObject(draft.transfer_map_json) ? Object.values(draft.transfer_map_json) : [];
  const toFlows = targets.some((each) => typeof each === "string" && each.startsWith("flow_"));
  const toNumbers = targets.some((each) => isObject(each) || (typeof each === "string" && each.startsWith("+")));
  const records = draft.recording_enabled === true || draft.recording_rules_json !== null;
  const common: [Builtin, boolean][] = [
    ["report_outcome", draft.outcome_schema_json !== null],
    ["lookup_knowledge", draft.knowledge_ids.length > 0],
  ];
  const own: Record<typeof start, [Builtin, boolean][]> = {
    call: [
      ["end_call", true],
      ["transfer_to_number", toNumbers],
      ["transfer_to_flow", toFlows],
      ["take_voicemail", draft.voicemail_enabled],
      ["pause_recording", records],
      ["resume_recording", records],
      ["send_digits", draft.kind === "outbound"],
    ],
    message: [
      ["assign_to_human", true],
      ["close_conversation", true],
      ["transfer_sms_to_flow", toFlows],
      ["schedule_followup_sms", followUps(draft) > 0],
    ],
    event: [],
  };
  return [...own[start], ...common].map(([name, isOn]) => ({ name, isOn }));
}

const DEFAULT_FOLLOW_UPS = 3;

function followUps(draft: Draft): number {
  const most = isObject(draft.sms_config_json) ? draft.sms_config_json["max_pending_followups"] : undefined;
  return typeof most === "number" ? most : DEFAULT_FOLLOW_UPS;
}
