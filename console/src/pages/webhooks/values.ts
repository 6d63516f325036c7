/** A webhook as its form holds it, and what of it is sent. */
import type { Schemas } from "@/api/client";
import type { Preset, Webhook } from "./queries";

export interface Header {
  name: string;
  value: string;
}

export interface Values {
  url: string;
  description: string;
  /** Empty: all. */
  events: string[];
  number_ids: string[];
  flow_ids: string[];
  headers: Header[];
  ordered: boolean;
  format: Schemas["WebhookFormat"];
  preset: string;
}

/** What is shown for a header's value that is kept sealed; sent back, it leaves the value as it is. */
export const SEALED = "********";

export const FIELDS = ["url", "description", "events", "number_ids", "flow_ids", "headers_json", "ordered", "format", "preset"] as const;
export type FieldName = (typeof FIELDS)[number];

export const BLANK: Values = { url: "", description: "", events: [], number_ids: [], flow_ids: [], headers: [], ordered: false, format: "event", preset: "" };

export function valuesOf(webhook: Webhook): Values {
  return {
    url: webhook.url,
    description: webhook.description ?? "",
    events: webhook.events.includes("*") ? [] : webhook.events,
    number_ids: webhook.number_ids,
    flow_ids: webhook.flow_ids,
    headers: Object.entries(webhook.headers_json ?? {}).map(([name, value]) => ({ name, value: String(value) })),
    ordered: webhook.ordered,
    format: webhook.format ?? "event",
    preset: webhook.preset ?? "",
  };
}

/** The values that a preset fills in; the address and what it is narrowed to stay. */
export function withPreset(values: Values, preset: Preset | undefined): Values {
  if (!preset) return { ...values, preset: "", events: [], format: "event", ordered: false };
  return { ...values, preset: preset.name, events: [...preset.events], format: preset.format ?? "event", ordered: preset.ordered };
}

export function bodyOf(values: Values): Schemas["WebhookInput"] {
  const headers = values.headers.filter((each) => each.name.trim() !== "");
  return {
    url: values.url.trim(),
    description: values.description.trim() || null,
    events: values.events,
    number_ids: values.number_ids,
    flow_ids: values.flow_ids,
    headers_json: Object.fromEntries(headers.map((each) => [each.name.trim(), each.value])),
    ordered: values.ordered,
    format: values.format,
    ...(values.preset ? { preset: values.preset } : {}),
  };
}

/** Only what differs from what is kept. */
export function changesOf(before: Values, after: Values): Schemas["WebhookPatch"] {
  const [old, now] = [bodyOf(before), bodyOf(after)];
  return Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name as keyof typeof old])));
}

/** Headers whose sealed values are lost, since the address is another server's. */
export function lostHeaders(before: Values, after: Values): string[] {
  if (serverOf(before.url) === serverOf(after.url)) return [];
  return after.headers.filter((each) => each.value === SEALED).map((each) => each.name);
}

function serverOf(url: string): string {
  return URL.canParse(url.trim()) ? new URL(url.trim()).origin : url.trim();
}

/** A kind or a type turned on or off: a whole kind is `sms.*`; types of a kind that is whole are named when one of them goes. */
export function turned(events: readonly string[], type: string, siblings: readonly string[]): string[] {
  const kind = `${type.split(".")[0] ?? ""}.*`;
  if (type === kind) return events.includes(kind) ? events.filter((each) => each !== kind) : [...events.filter((each) => each !== kind && !siblings.includes(each)), kind];
  if (events.includes(kind)) return [...events.filter((each) => each !== kind), ...siblings.filter((each) => each !== type)];
  if (events.includes(type)) return events.filter((each) => each !== type);
  const next = [...events, type];
  return siblings.length > 1 && siblings.every((each) => next.includes(each)) ? [...next.filter((each) => !siblings.includes(each)), kind] : next;
}
