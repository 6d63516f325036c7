/** What the pages of connectors ask. */
import { useQuery } from "@tanstack/react-query";
import { type Schemas, api, data } from "@/api/client";
import { useList } from "@/api/queries";

export type Connector = Schemas["CrmConnector"];
export type Log = Schemas["CrmLog"];

export const TOUCHED = [["crm"]];

/** That a rest is over is no news of the stream: it is asked again then. */
function endOfRest(connectors: readonly Connector[]): number | false {
  const ends = connectors.flatMap((each) => (each.status === "resting" && each.rests_until ? [new Date(each.rests_until).getTime()] : []));
  return ends.length > 0 && Math.max(1000, Math.min(...ends) - Date.now());
}

export function useConnectors() {
  return useQuery({
    queryKey: ["crm", "list"],
    queryFn: async ({ signal }) => (await data(api.GET("/api/crm-connectors", { params: { query: { limit: 200 } }, signal }))).connectors,
    refetchInterval: ({ state }) => endOfRest(state.data ?? []),
  });
}

export function useConnector(id: string) {
  return useQuery({
    queryKey: ["crm", id],
    queryFn: ({ signal }) => data(api.GET("/api/crm-connectors/{id}", { params: { path: { id } }, signal })),
    refetchInterval: ({ state }) => endOfRest(state.data ? [state.data] : []),
  });
}

export function useLogs(id: string, callId: string | undefined, isAllowed: boolean) {
  return useList(
    ["crm", id, "logs", callId ?? ""],
    (cursor, signal) => data(api.GET("/api/crm-connectors/{id}/logs", { params: { path: { id }, query: { limit: 50, ...(callId ? { call_id: callId } : {}), ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.logs,
    isAllowed,
  );
}

export function patchConnector(id: string, changes: Schemas["CrmConnectorPatch"]): Promise<Connector> {
  return data(api.PATCH("/api/crm-connectors/{id}", { params: { path: { id } }, body: changes }));
}
