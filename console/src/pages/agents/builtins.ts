/** HUM's own tools, and what gives an agent each; as `control` offers them. */
import { isObject } from "@/ui/schema-form/schema";
import { type Draft, startOf } from "./flow";

/** By what starts an agent, all that it can have; a test holds this against what `control` has. */
export const BUILTINS = {
  call: [
    "end_call",
    "transfer_to_number",
    "transfer_to_flow",
    "take_voicemail",
    "send_text",
    "stop_texting",
    "pause_recording",
    "resume_recording",
    "send_digits",
    "report_outcome",
    "lookup_knowledge",
    "find_times",
    "hold_time",
    "book_time",
    "my_appointments",
    "move_appointment",
    "cancel_appointment",
    "verify_caller",
  ],
  message: [
    "assign_to_human",
    "close_conversation",
    "transfer_sms_to_flow",
    "schedule_followup_sms",
    "stop_texting",
    "report_outcome",
    "lookup_knowledge",
    "find_times",
    "hold_time",
    "book_time",
    "my_appointments",
    "move_appointment",
    "cancel_appointment",
    "verify_caller",
  ],
  event: ["report_outcome", "lookup_knowledge", "find_times", "hold_time", "book_time"],
} as const;
export type Builtin = (typeof BUILTINS)[keyof typeof BUILTINS][number];
type Choice = NonNullable<Draft["tools_json"]>[number];

/** Those of the agent's channel: whether it has them as it is, and whether it switches them off. */
export function builtinsOf(draft: Draft): { name: Builtin; isOn: boolean; isOff: boolean }[] {
  const off = new Set(choicesOf(draft.tools_json).flatMap((each) => (each.enabled === false ? [each.name] : [])));
  return BUILTINS[startOf(draft)].map((name) => ({ name, isOn: isGiven(name, draft) && !off.has(name), isOff: off.has(name) }));
}

/** Whether the agent's other settings give it the tool; what the number of a call gives, only the call can tell. */
function isGiven(name: Builtin, draft: Draft): boolean {
  const targets = isObject(draft.transfer_map_json) ? Object.values(draft.transfer_map_json) : [];
  switch (name) {
    case "transfer_to_number":
      return targets.some((each) => isObject(each) || (typeof each === "string" && each.startsWith("+")));
    case "transfer_to_flow":
    case "transfer_sms_to_flow":
      return targets.some((each) => typeof each === "string" && each.startsWith("flow_"));
    case "take_voicemail":
      return draft.voicemail_enabled === true;
    case "pause_recording":
    case "resume_recording":
      return draft.recording_enabled === true || draft.recording_rules_json !== null;
    case "send_digits":
      return draft.kind === "outbound";
    case "schedule_followup_sms":
      return followUps(draft) > 0;
    case "report_outcome":
      return draft.outcome_schema_json !== null;
    case "lookup_knowledge":
      return draft.knowledge_ids.length > 0;
    case "find_times":
    case "hold_time":
    case "book_time":
    case "my_appointments":
    case "move_appointment":
    case "cancel_appointment":
    case "verify_caller":
      return draft.booking_service_ids.length > 0;
    default:
      return true;
  }
}

function choicesOf(tools: Draft["tools_json"]): Choice[] {
  return Array.isArray(tools) ? tools : [];
}

/** `tools_json` with a tool switched off or on; null when it chooses nothing any more. */
export function switched(tools: Choice[] | null, name: string, isOn: boolean): Choice[] | null {
  const others = (tools ?? []).filter((each) => each.name !== name || each.enabled !== false);
  if (!isOn) return [...others, { name, enabled: false }];
  return others.length === 0 ? null : others;
}

/** `tools_json` with the bound tools that it lists, and those that it switches off as they were; null lists all. */
export function listing(tools: Choice[] | null, names: string[] | null): Choice[] | null {
  const off = (tools ?? []).filter((each) => each.enabled === false);
  if (names === null) return off.length === 0 ? null : off;
  return [...off, ...names.map((name) => (tools ?? []).find((each) => each.name === name && each.enabled !== false) ?? { name })];
}

const DEFAULT_FOLLOW_UPS = 3;

function followUps(draft: Draft): number {
  const most = isObject(draft.sms_config_json) ? draft.sms_config_json["max_pending_followups"] : undefined;
  return typeof most === "number" ? most : DEFAULT_FOLLOW_UPS;
}
