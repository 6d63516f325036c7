/** A tool as it is edited: texts as they are typed, and what of them is sent. */
import type { FieldError, Schemas } from "@/api/client";
import { type Pair, objectOf, pairsOf } from "@/ui/pairs";

type Tool = Schemas["HttpTool"];

export interface Draft {
  name: string;
  description: string;
  method: string;
  url: string;
  headers: readonly Pair[];
  query: readonly Pair[];
  /** JSON as it is typed. */
  body: string;
  body_type: Schemas["ToolBodyType"];
  /** The JSON Schema of the arguments, as it is typed. */
  parameters: string;
  output_template: string;
  fallback_template: string;
  timeout_ms: number;
  retries: number;
  sends_idempotency_key: boolean;
  requires_approval: boolean;
}

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;
const DEFAULT_TIMEOUT_MS = 8000;

export const BLANK: Draft = {
  name: "",
  description: "",
  method: "GET",
  url: "https://",
  headers: [],
  query: [],
  body: "",
  body_type: "json",
  parameters: "",
  output_template: "",
  fallback_template: "",
  timeout_ms: DEFAULT_TIMEOUT_MS,
  retries: 0,
  sends_idempotency_key: false,
  requires_approval: false,
};

export function draftOf(tool: Tool): Draft {
  return {
    name: tool.name,
    description: tool.description,
    method: tool.method ?? "GET",
    url: tool.url,
    headers: pairsOf(tool.headers_json),
    query: pairsOf(tool.query_json),
    body: jsonText(tool.body_json),
    body_type: tool.body_type ?? "json",
    parameters: jsonText(tool.parameters_json),
    output_template: tool.output_template ?? "",
    fallback_template: tool.fallback_template ?? "",
    timeout_ms: tool.timeout_ms ?? DEFAULT_TIMEOUT_MS,
    retries: tool.retries ?? 0,
    sends_idempotency_key: tool.sends_idempotency_key ?? false,
    requires_approval: tool.requires_approval ?? false,
  };
}

function jsonText(value: unknown): string {
  return value === null || value === undefined ? "" : JSON.stringify(value, null, 2);
}

/** A text as JSON: null when it is empty, undefined when it is none. */
export function parsed(text: string): unknown {
  if (text.trim() === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export type Fields = Omit<Schemas["HttpToolInput"], never>;

/** What is sent for a draft; what isn't JSON yet is a refusal of our own. */
export function fieldsOf(draft: Draft, notJson: string): { fields: Fields; faults: FieldError[] } {
  const parameters = parsed(draft.parameters);
  const body = parsed(draft.body);
  const faults: FieldError[] = [];
  if (parameters === undefined) faults.push({ field: "parameters_json", reason: notJson });
  if (body === undefined) faults.push({ field: "body_json", reason: notJson });
  const fields = {
    name: draft.name.trim(),
    description: draft.description.trim(),
    method: draft.method,
    url: draft.url.trim(),
    headers_json: objectOf(draft.headers),
    query_json: objectOf(draft.query),
    body_json: body ?? null,
    body_type: draft.body_type,
    parameters_json: parameters ?? null,
    output_template: draft.output_template || null,
    fallback_template: draft.fallback_template || null,
    timeout_ms: draft.timeout_ms,
    retries: draft.retries,
    sends_idempotency_key: draft.sends_idempotency_key,
    requires_approval: draft.requires_approval,
  };
  return { fields: fields as Fields, faults };
}

/** The fields in which two of them differ, with the values of `after`. */
export function changesOf(before: Fields, after: Fields): Partial<Fields> {
  const names = Object.keys(after) as (keyof Fields)[];
  return Object.fromEntries(names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map((name) => [name, after[name]]));
}

const NO_CONTENT = new Set(["id", "version", "created_at", "updated_at"]);

/** A version as text, to be compared. */
export function shownOf(tool: Tool): string {
  return JSON.stringify(Object.fromEntries(Object.entries(tool).filter(([name, value]) => !NO_CONTENT.has(name) && value !== null)), null, 2);
}

/** Arguments to begin a test with, made from what the schema says. */
export function sampleOf(parameters: unknown): Record<string, unknown> {
  if (typeof parameters !== "object" || parameters === null) return {};
  const properties = (parameters as { properties?: Record<string, { default?: unknown; examples?: unknown[] }> }).properties ?? {};
  const known = Object.entries(properties).flatMap(([name, each]) => {
    const value = each?.examples?.[0] ?? each?.default;
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(known);
}
