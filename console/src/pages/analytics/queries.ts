import { api, data } from "@/api/client";
import { useThing } from "@/api/queries";
import type { Window } from "./window";

export function useFigures({ first, last }: Window, agent: string | undefined) {
  const query = { from: first, to: last, ...(agent ? { flow_id: agent } : {}) };
  return useThing(["analytics", query], (signal) => data(api.GET("/api/analytics", { params: { query }, signal })));
}

export function useTextFigures({ first, last }: Window) {
  const query = { from: first, to: last };
  return useThing(["analytics", "texts", query], (signal) => data(api.GET("/api/analytics/texts", { params: { query }, signal })));
}
