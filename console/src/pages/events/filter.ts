/** What a filter asks for, and where an event's data leads. */
import type { LinkProps } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import { KINDS } from "@/lib/event-types";

export type Event = Schemas["Event"];

/** The types of a filter: of a kind all that it has, else itself; none are all. */
export function typesOf(filter: string | undefined): string[] {
  if (!filter) return [];
  const kind = KINDS.find((each) => each.kind === filter);
  return kind ? [...kind.types] : [filter];
}

/** The filter that holds a type: of triggers all, since customers name those. */
export function filterOf(type: string): string {
  return type.startsWith("external.") ? "external.*" : type;
}

type Place = "call" | "conversation" | "agent" | "webhook" | "trigger" | "approval" | "number";

/** The things that an event's data names and that have a page. */
export function placesOf(data: unknown): { place: Place; link: LinkProps }[] {
  if (typeof data !== "object" || data === null) return [];
  const id = (name: string): string | undefined => {
    const value: unknown = (data as Record<string, unknown>)[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const [call, conversation, flow, webhook, trigger, approval, number] = [id("call_id"), id("conversation_id"), id("flow_id"), id("webhook_id"), id("trigger_id"), id("approval_id"), id("number_id")];
  const found: ({ place: Place; link: LinkProps } | undefined)[] = [
    call ? { place: "call", link: { to: "/calls/$id", params: { id: call } } } : undefined,
    conversation ? { place: "conversation", link: { to: "/inbox/$id", params: { id: conversation } } } : undefined,
    flow ? { place: "agent", link: { to: "/agents/$id", params: { id: flow } } } : undefined,
    number ? { place: "number", link: { to: "/numbers/$numberId", params: { numberId: number } } } : undefined,
    webhook ? { place: "webhook", link: { to: "/webhooks/$id", params: { id: webhook } } } : undefined,
    trigger ? { place: "trigger", link: { to: "/triggers/$id", params: { id: trigger } } } : undefined,
    approval ? { place: "approval", link: { to: "/approvals", search: { id: approval } } } : undefined,
  ];
  return found.filter((each) => each !== undefined);
}

const MOST_WORDS = 120;

/** A line of an event's data for the list: what a person can read, without ids. */
export function wordsOf(data: unknown): string {
  if (typeof data !== "object" || data === null) return "";
  // What a trigger took is in its payload.
  if ("payload" in data && typeof data.payload === "object" && data.payload !== null) return wordsOf(data.payload);
  const parts = Object.entries(data).flatMap(([name, value]) => (/(^|_)id$|_at$/.test(name) || value === null || typeof value === "object" || value === "" ? [] : [`${name}: ${String(value)}`]));
  const line = parts.join(", ");
  return line.length > MOST_WORDS ? `${line.slice(0, MOST_WORDS)}…` : line;
}
