import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

const pages = () => import("./pages");
const loader = (): Promise<void> => loadTexts("mcpServers", "forms", "json");

export const mcpServersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/mcp-servers",
  loader,
  component: lazyRouteComponent(pages, "McpServers"),
});

export const mcpServerRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/mcp-servers/$id",
  loader,
  component: lazyRouteComponent(pages, "McpServerPage"),
});
