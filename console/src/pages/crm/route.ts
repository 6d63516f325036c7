import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

const pages = () => import("./pages");
const loader = (): Promise<void> => loadTexts("crm", "forms", "json");

export const crmRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/crm",
  loader,
  component: lazyRouteComponent(pages, "Crm"),
});

export const connectorRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/crm/$id",
  validateSearch: ({ call_id }: Record<string, unknown>): { call_id?: string } => (typeof call_id === "string" && call_id !== "" ? { call_id: call_id.slice(0, 60) } : {}),
  loader,
  component: lazyRouteComponent(pages, "ConnectorPage"),
});
