import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const agentsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/agents",
  validateSearch: (search: Record<string, unknown>): { start?: "call" | "message" | "event" } => ({ ...one("start", search, ["call", "message", "event"] as const) }),
  loader: () => loadTexts("agents"),
  component: lazyRouteComponent(() => import("./list"), "Agents"),
});

export const newAgentRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/agents/new",
  validateSearch: (search: Record<string, unknown>): { how?: "describe" | "blank" | "copy" } => ({ ...one("how", search, ["describe", "blank", "copy"] as const) }),
  loader: () => loadTexts("agents", "agentForm", "describe", "forms"),
  component: lazyRouteComponent(() => import("./new"), "NewAgent"),
});

export const AGENT_TABS = ["edit", "try", "versions", "tools", "metrics", "runs"] as const;
export type AgentTab = (typeof AGENT_TABS)[number];

export interface AgentSearch {
  tab?: AgentTab;
  /** What is compared on the tab of versions. */
  from?: number;
  to?: number;
  days?: number;
  /** Of runs; one that there is not counts as none. */
  status?: string;
  run?: string;
  by?: "text" | "voice";
}

export const agentRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/agents/$id",
  validateSearch: (search: Record<string, unknown>): AgentSearch => ({
    ...one("tab", search, AGENT_TABS),
    ...whole("from", search),
    ...whole("to", search),
    ...whole("days", search),
    ...text("status", search),
    ...text("run", search),
    ...one("by", search, ["text", "voice"] as const),
  }),
  loader: () => loadTexts("agents", "agentForm", "describe", "forms", "banners", "try"),
  component: lazyRouteComponent(() => import("./agent"), "Agent"),
});

function one<N extends string, V extends string>(name: N, search: Record<string, unknown>, known: readonly V[]): Partial<Record<N, V>> {
  const value = known.find((each) => each === search[name]);
  return value === undefined ? {} : ({ [name]: value } as Partial<Record<N, V>>);
}

function text<N extends string>(name: N, search: Record<string, unknown>): Partial<Record<N, string>> {
  const value = search[name];
  return typeof value === "string" ? ({ [name]: value } as Partial<Record<N, string>>) : {};
}

function whole<N extends string>(name: N, search: Record<string, unknown>): Partial<Record<N, number>> {
  const value = Number(search[name]);
  return Number.isInteger(value) && value > 0 && value < 1e6 ? ({ [name]: value } as Partial<Record<N, number>>) : {};
}
