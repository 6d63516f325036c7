/** What the pages of tools ask. */
import { type Schemas, api, data } from "@/api/client";
import { can, useMe } from "@/api/me";
import { useList, useThing } from "@/api/queries";
import type { ExecutionsSearch } from "./route";

export type Tool = Schemas["HttpTool"];
export type Secret = Schemas["ToolSecret"];
export type Execution = Schemas["ToolExecution"];

export function useTools() {
  return useList(
    ["tools", "list"],
    (cursor, signal) => data(api.GET("/api/tools", { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.tools,
  );
}

export function askTool(id: string, signal?: AbortSignal): Promise<Tool> {
  return data(api.GET("/api/tools/{id}", { params: { path: { id } }, ...(signal ? { signal } : {}) }));
}

export function useTool(id: string) {
  return useThing(["tools", id], (signal) => askTool(id, signal));
}

export function useVersions(id: string) {
  return useList(
    ["tools", id, "versions"],
    (cursor, signal) => data(api.GET("/api/tools/{id}/versions", { params: { path: { id }, query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.versions,
  );
}

/** Administrators alone see what secrets there are, and run tests. */
export function useIsAdmin(): boolean {
  return can(useMe(), "integrations:write");
}

/** Viewers may not see what tools did: arguments and results are callers' data. */
export function useMaySeeExecutions(): boolean {
  return useMe().role !== "viewer";
}

export function useSecrets() {
  return useList(
    ["tool-secrets"],
    (cursor, signal) => data(api.GET("/api/tool-secrets", { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.tool_secrets,
    useIsAdmin(),
  );
}

export function useExecutions(filter: ExecutionsSearch) {
  return useList(
    ["tool-executions", filter],
    (cursor, signal) => data(api.GET("/api/tool-executions", { params: { query: { limit: 50, ...filter, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.executions,
    useMaySeeExecutions(),
  );
}
