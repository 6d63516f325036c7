import { api, data } from "@/api/client";
import { useThing } from "@/api/queries";
import type { Window } from "./window";

export function useFigures({ first, last }: Window, agent: string | undefined) {
  const query = { from: first, to: last, ...(agent ? { flow_id: agent } : {}) };
  return useThing(["analytics", query], (signal) => data(api.GET("/api/analytics", { params: { query }, signal })));
}
