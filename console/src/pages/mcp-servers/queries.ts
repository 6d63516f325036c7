/** What the pages of MCP servers ask. */
import { type Schemas, api, data } from "@/api/client";
import { useList, useThing } from "@/api/queries";

export type Server = Schemas["McpServer"];
export type McpTool = Schemas["McpTool"];

export const TOUCHED = [["mcp-servers"]];

export function useServers() {
  return useList(
    ["mcp-servers", "list"],
    (cursor, signal) => data(api.GET("/api/mcp-servers", { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.mcp_servers,
  );
}

export function useServer(id: string) {
  return useThing(["mcp-servers", id], (signal) => data(api.GET("/api/mcp-servers/{id}", { params: { path: { id } }, signal })));
}

export function useServerTools({ id }: Server) {
  return useList(
    ["mcp-servers", id, "tools"],
    (cursor, signal) => data(api.GET("/api/mcp-servers/{id}/tools", { params: { path: { id }, query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.tools,
  );
}

export function patchServer(id: string, changes: Schemas["McpServerPatch"]): Promise<Server> {
  return data(api.PATCH("/api/mcp-servers/{id}", { params: { path: { id } }, body: changes }));
}
