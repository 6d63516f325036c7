/** What the agents' pages ask. */
import { useQuery } from "@tanstack/react-query";
import { useAct, useChange } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey, readError } from "@/api/client";
import { can, useMe } from "@/api/me";
import { asApiError, queryClient, useList, useThing } from "@/api/queries";
import { useAttempt } from "@/lib/attempt";
import { toast } from "@/ui/toast";
import type { JsonSchema } from "@/ui/schema-form/schema";
import type { Changes, Draft, Flow } from "./flow";

const MOST = 200;

export function flowQuery(id: string) {
  return {
    queryKey: ["flows", id],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<Flow> => data(api.GET("/api/flows/{id}", { params: { path: { id } }, signal })),
  };
}

export interface Version {
  version: number;
  updated_at: string;
  /** The fields that it changed. */
  changed: string[];
}

/** Without what is in them, which can be a hundred kilobytes each. */
export function useVersions(id: string) {
  return useList(
    ["flows", id, "versions"],
    (cursor, signal) => data(api.GET("/api/flows/{id}/versions", { params: { path: { id }, query: { limit: 50, fields: ["name"], ...(cursor ? { cursor } : {}) } }, signal })),
    (page): Version[] => page.versions.map(({ version, updated_at: at }, nth) => ({ version, updated_at: at, changed: page.changes[nth]?.fields ?? [] })),
  );
}

/** The flow as it was at a version; it stays that. */
export function useFlowAt(id: string, version: number) {
  return useQuery({
    queryKey: ["flows", id, "version", version],
    staleTime: Infinity,
    queryFn: ({ signal }): Promise<Flow> => data(api.GET("/api/flows/{id}", { params: { path: { id }, query: { version } }, signal })),
  });
}

export interface FlowUse {
  /** E.164 of the numbers that a flow answers, by flow. */
  numbers: ReadonlyMap<string, string[]>;
  /** Calls of the last 30 days by flow; null where one may not know. */
  calls: ReadonlyMap<string, number> | null;
}

/** Who uses the flows: numbers and calls, as far as one may see them. */
export function useFlowUse(): FlowUse {
  const me = useMe();
  const numbers = useThing(["numbers", "choices"], async (signal) => (await data(api.GET("/api/numbers", { params: { query: { limit: MOST } }, signal }))).numbers, { enabled: can(me, "numbers:read") });
  const figures = useThing(["analytics", "flows", 30], async (signal) => (await data(api.GET("/api/analytics", { params: { query: { days: 30 } }, signal }))).flows, { enabled: can(me, "analytics:read") });
  const by = new Map<string, string[]>();
  for (const each of numbers.data ?? []) for (const flow of [each.flow_id, each.sms_flow_id]) if (flow) by.set(flow, [...(by.get(flow) ?? []), each.e164]);
  return { numbers: by, calls: figures.data ? new Map(figures.data.flatMap((each) => (each.flow_id ? [[each.flow_id, each.calls] as const] : []))) : null };
}

export function useDuplicate(onDone: (flow: Flow) => void) {
  return useChange((id: string) => data(api.POST("/api/flows/{id}/duplicate", { params: { path: { id }, header: { "Idempotency-Key": idempotencyKey() } } })), [["flows"]], { onDone });
}

export function useCreate(onDone: (flow: Flow) => void) {
  const attempt = useAttempt();
  return useAct<Changes & Pick<Draft, "name">, Flow>({
    mutationFn: (fields) => data(api.POST("/api/flows", { body: fields as Schemas["FlowInput"], params: { header: { "Idempotency-Key": attempt.key(fields) } } })),
    onSuccess: (flow) => {
      attempt.done();
      void queryClient.invalidateQueries({ queryKey: ["flows"] });
      onDone(flow);
    },
    onError: (error) => {
      const refusal = asApiError(error);
      if (refusal.details.length === 0) toast.refusal(refusal);
    },
  });
}

/** Save changes of a flow as it was; refused as a conflict when somebody else has saved since. */
export function patchFlow({ id, version }: Pick<Flow, "id" | "version">, changes: Changes): Promise<Flow> {
  return data(api.PATCH("/api/flows/{id}", { params: { path: { id }, query: { if_version: version } }, body: changes as Schemas["FlowPatch"] }));
}

export function useVoices() {
  return useThing(["voices"], async (signal) => (await data(api.GET("/api/voices", { signal }))).voices);
}

/** The models that an agent may speak with, with what was measured of each lately. */
export function useModels() {
  return useThing(["models"], async (signal) => (await data(api.GET("/api/models", { signal }))).models);
}

interface OpenApi {
  components: { schemas: Record<string, JsonSchema> };
  webhooks?: Record<string, unknown>;
}

const openApiQuery = {
  queryKey: ["openapi"],
  staleTime: Infinity,
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<OpenApi> => {
    const answer = await fetch("/openapi.json", { signal });
    if (!answer.ok) throw await readError(answer);
    return (await answer.json()) as OpenApi;
  },
};

/** The schemas of the API's own document, from which forms are made. */
export function useSchemas() {
  return useQuery({ ...openApiQuery, select: (document) => document.components.schemas });
}

/** The types of events that the API's document names. */
export function useEventTypes(): string[] {
  return Object.keys(useQuery(openApiQuery).data?.webhooks ?? {});
}

export function useFlowTools(flowId: string) {
  return useThing(["flows", flowId, "tools"], async (signal) => (await data(api.GET("/api/flows/{flow_id}/tools", { params: { path: { flow_id: flowId }, query: { limit: MOST } }, signal }))).flow_tools);
}

export function useHttpTools() {
  const isAllowed = can(useMe(), "integrations:read");
  return useThing(["tools", "choices"], async (signal) => (await data(api.GET("/api/tools", { params: { query: { limit: MOST } }, signal }))).tools, { enabled: isAllowed });
}

export function useFlowMcp(flowId: string) {
  return useThing(["flows", flowId, "mcp"], async (signal) => (await data(api.GET("/api/flows/{flow_id}/mcp-servers", { params: { path: { flow_id: flowId }, query: { limit: MOST } }, signal }))).mcp_servers);
}

export function useMcpServers() {
  const isAllowed = can(useMe(), "integrations:read");
  return useThing(["mcp-servers", "choices"], async (signal) => (await data(api.GET("/api/mcp-servers", { params: { query: { limit: MOST } }, signal }))).mcp_servers, { enabled: isAllowed });
}

export function useKnowledge() {
  const isAllowed = can(useMe(), "knowledge:read");
  return useThing(["knowledge", "choices"], async (signal) => (await data(api.GET("/api/knowledge", { params: { query: { limit: MOST } }, signal }))).documents, { enabled: isAllowed });
}

export function useBookableServices() {
  const isAllowed = can(useMe(), "bookings:read");
  return useThing(["booking", "services"], async (signal) => (await data(api.GET("/api/booking/services", { params: { query: { limit: MOST } }, signal }))).services, { enabled: isAllowed });
}

export function useConnectors() {
  const isAllowed = can(useMe(), "integrations:read");
  return useThing(["crm", "choices"], async (signal) => (await data(api.GET("/api/crm-connectors", { params: { query: { limit: MOST } }, signal }))).connectors, { enabled: isAllowed });
}
