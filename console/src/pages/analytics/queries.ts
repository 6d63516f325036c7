import { api, data } from "@/api/client";
import { useThing } from "@/api/queries";
import { useUsage } from "@/pages/billing/queries";
import type { Window } from "./window";

export function useFigures({ first, last }: Window, agent: string | undefined) {
  const query = { from: first, to: last, ...(agent ? { flow_id: agent } : {}) };
  return useThing(["analytics", query], (signal) => data(api.GET("/api/analytics", { params: { query }, signal })));
}

export function useTextFigures({ first, last }: Window) {
  const query = { from: first, to: last };
  return useThing(["analytics", "texts", query], (signal) => data(api.GET("/api/analytics/texts", { params: { query }, signal })));
}

/** What was used in the same days, by day, number and agent; undefined where one may not see it, and until all of it has come. */
export function useTextUsage({ first, last }: Window) {
  const days = { from: first, to: last };
  const queries = [useUsage({ ...days, by: "day" }), useUsage({ ...days, by: "number" }), useUsage({ ...days, by: "flow" })];
  const [day, number, flow] = queries.map((each) => each.data);
  return { usage: day && number && flow && { totals: day.totals, days: day.groups, numbers: number.groups, agents: flow.groups }, error: queries.find((each) => each.error)?.error };
}
