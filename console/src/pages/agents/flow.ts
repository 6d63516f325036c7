/** A flow as it is edited: its fields, what changed in them, and how changes of two people come together. */
import type { Schemas } from "@/api/client";

export type Flow = Schemas["Flow"];
export type Draft = Omit<Flow, "id" | "version" | "created_at" | "updated_at">;
export type FieldName = keyof Draft;
export type Changes = Partial<Draft>;

/** A flow that nobody has written yet. */
export const BLANK: Draft = {
  name: "",
  kind: "inbound",
  channel: "voice",
  trigger_type: "call",
  trigger_events: [],
  language: null,
  greeting: null,
  system_prompt: null,
  voice: null,
  model: null,
  turn_config_json: null,
  hold_phrase: null,
  filler_phrases: [],
  idle_prompts_json: null,
  idle_end_seconds: null,
  goodbye_message: null,
  business_hours_json: null,
  after_hours_message: null,
  voicemail_enabled: false,
  voicemail_greeting: null,
  transfer_map_json: null,
  whisper_text: null,
  route_tags_json: null,
  announce_recording: false,
  recording_enabled: null,
  recording_rules_json: null,
  outcome_schema_json: null,
  tools_json: null,
  knowledge_ids: [],
  booking_service_ids: [],
  machine_action: null,
  machine_message: null,
  max_call_seconds: null,
  limit_warning_seconds: null,
  limit_warning_message: null,
  sms_config_json: null,
};
/** In the order in which the form has them. */
export const FIELDS = Object.keys(BLANK) as FieldName[];

const LISTS: ReadonlySet<FieldName> = new Set(["trigger_events", "filler_phrases", "knowledge_ids", "booking_service_ids"]);
const NUMBERS: ReadonlySet<FieldName> = new Set(["max_call_seconds", "idle_end_seconds", "limit_warning_seconds"]);
const FLAGS: ReadonlySet<FieldName> = new Set(["voicemail_enabled", "announce_recording", "recording_enabled"]);

/** Whether a field's value is of the kind that the form can hold; what is inside, the API checks. */
function isOfKind(name: FieldName, value: unknown): boolean {
  if (value === null) return name !== "name";
  if (LISTS.has(name)) return Array.isArray(value) && value.every((each) => typeof each === "string");
  if (NUMBERS.has(name)) return typeof value === "number";
  if (FLAGS.has(name)) return typeof value === "boolean";
  if (name === "tools_json") return Array.isArray(value);
  return name.endsWith("_json") ? typeof value === "object" && !Array.isArray(value) : typeof value === "string";
}

export function isField(name: string): name is FieldName {
  return name in BLANK;
}

/** What of a flow can be edited. */
export function draftOf(flow: Flow): Draft {
  return { ...BLANK, ...Object.fromEntries(FIELDS.map((name) => [name, flow[name]])) };
}

/** Whether two JSON values are the same; members' order counts for nothing. */
export function isSame(a: unknown, b: unknown): boolean {
  return a === b || canonical(a) === canonical(b);
}

function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

/** The fields in which `to` differs from `from`, with their new values: what a PATCH sends. */
export function changesOf(from: Draft, to: Draft): Changes {
  return Object.fromEntries(FIELDS.filter((name) => !isSame(from[name], to[name])).map((name) => [name, to[name] ?? null]));
}

export function namesOf(changes: Changes): FieldName[] {
  return Object.keys(changes).filter(isField);
}

export interface Rebased {
  draft: Draft;
  /** Fields that both have changed, and not to the same. In `draft` they are as mine. */
  conflicts: FieldName[];
  /** Fields that only they have changed. */
  theirs: FieldName[];
}

/** My changes of `base` on top of what somebody else has saved meanwhile. */
export function rebased(base: Draft, mine: Draft, saved: Draft): Rebased {
  const changes = changesOf(base, mine);
  const others = namesOf(changesOf(base, saved));
  return {
    draft: { ...saved, ...changes },
    conflicts: others.filter((name) => name in changes && !isSame(mine[name], saved[name])),
    theirs: others.filter((name) => !(name in changes)),
  };
}

/** A draft as text: in the form's order, two spaces. */
export function textOf(draft: Changes): string {
  return printed(Object.fromEntries(FIELDS.filter((name) => name in draft).map((name) => [name, draft[name]])), "");
}

const SHORT_CHARS = 60;

/** JSON with two spaces, but short lists of plain values in one line: a week's hours stay readable. */
function printed(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((each) => printed(each, inner));
    const line = `[${items.join(", ")}]`;
    if (line.length <= SHORT_CHARS && !line.includes("\n") && !line.includes("{")) return line;
    return `[\n${items.map((each) => inner + each).join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value).map(([name, each]) => `${inner}${JSON.stringify(name)}: ${printed(each, inner)}`);
  return members.length > 0 ? `{\n${members.join(",\n")}\n${indent}}` : "{}";
}

export type Read = { draft: Draft } | { fault: "syntax"; message: string } | { fault: "object" } | { fault: "unknown" | "kind"; name: string };

/** A draft from text; a field that is left out is as in a blank flow. */
export function readDraft(text: string): Read {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { fault: "syntax", message: error instanceof Error ? error.message : "" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { fault: "object" };
  const unknown = Object.keys(value).find((name) => !isField(name));
  if (unknown !== undefined) return { fault: "unknown", name: unknown };
  const wrong = Object.entries(value).find(([name, each]) => isField(name) && !isOfKind(name, each));
  if (wrong) return { fault: "kind", name: wrong[0] };
  const nulls = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, isField(name) ? (each ?? BLANK[name]) : each]));
  return { draft: { ...BLANK, ...nulls } };
}

/** Whether an event starts it, a call, or a text. */
export function startOf(flow: Pick<Draft, "channel" | "trigger_type">): "call" | "message" | "event" {
  if (flow.trigger_type === "event") return "event";
  return flow.channel === "sms" ? "message" : "call";
}

/** A value in a few words for lists of differences. */
export function shown(value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Whether one of the maps names this flow. */
export function isNamedIn(maps: readonly unknown[], flowId: string): boolean {
  return maps.some((map) => typeof map === "object" && map !== null && Object.values(map).includes(flowId));
}
