/** What the addresses of the calls' pages may hold. */
import type { Schemas } from "@/api/client";
import { isDay } from "@/lib/days";

type CallStatus = Schemas["CallStatus"];
const STATUSES = ["queued", "ringing", "in_progress", "completed", "busy", "no_answer", "failed", "canceled", "blocked"] as const satisfies readonly CallStatus[];

export interface ListSearch {
  q?: string;
  direction?: "inbound" | "outbound";
  status?: CallStatus;
  flow?: string;
  number?: string;
  outcome?: string;
  tag?: string;
  contact?: string;
  /** Days of the organization, both included. */
  from?: string;
  to?: string;
  /** Whether the dialog is open in which a call is placed, and to whom. */
  place?: string;
}

const TEXTS = ["q", "flow", "number", "outcome", "tag", "contact", "place"] as const;

export function listSearch(search: Record<string, unknown>): ListSearch {
  const found: ListSearch = {};
  for (const name of TEXTS) {
    const value = search[name];
    // The router reads `?q=317` as a number.
    const text = typeof value === "string" || typeof value === "number" ? String(value).slice(0, 200) : "";
    if (text || (name === "place" && value === "")) found[name] = text;
  }
  const { direction } = search;
  const status = STATUSES.find((each) => each === search["status"]);
  if (status) found.status = status;
  if (direction === "inbound" || direction === "outbound") found.direction = direction;
  for (const name of ["from", "to"] as const) {
    const value = search[name];
    if (isDay(value)) found[name] = value;
  }
  return found;
}

/** The filters alone. */
export function withoutPlace(search: ListSearch): ListSearch {
  return Object.fromEntries(Object.entries(search).filter(([name]) => name !== "place"));
}

export type CallTab = "transcript" | "overview" | "timeline" | "details";
const TABS: readonly string[] = ["transcript", "overview", "timeline", "details"];

export interface CallSearch {
  tab?: CallTab;
  /** Where playback stands when the page is opened from a link: milliseconds. */
  at_ms?: number;
}

export function callSearch(search: Record<string, unknown>): CallSearch {
  const { tab, at_ms: at } = search;
  return {
    ...(typeof tab === "string" && TABS.includes(tab) ? { tab: tab as CallTab } : {}),
    ...(typeof at === "number" && at >= 0 ? { at_ms: at } : {}),
  };
}
