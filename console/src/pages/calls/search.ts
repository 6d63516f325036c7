/** What the addresses of the calls' pages may hold. */

export interface ListSearch {
  q?: string;
  direction?: "inbound" | "outbound";
  status?: string;
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

const TEXTS = ["q", "status", "flow", "number", "outcome", "tag", "contact", "place"] as const;

export function listSearch(search: Record<string, unknown>): ListSearch {
  const found: ListSearch = {};
  for (const name of TEXTS) {
    const value = search[name];
    // The router reads `?q=317` as a number.
    const text = typeof value === "string" || typeof value === "number" ? String(value).slice(0, 200) : "";
    if (text || (name === "place" && value === "")) found[name] = text;
  }
  const { direction } = search;
  if (direction === "inbound" || direction === "outbound") found.direction = direction;
  for (const name of ["from", "to"] as const) {
    const value = search[name];
    if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value)) found[name] = value;
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
