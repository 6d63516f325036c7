import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

/** Whose entries, about what, of which days of the organization. */
export interface AuditFilter {
  actor?: string;
  kind?: string;
  from?: string;
  to?: string;
}

export const auditLogRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/audit-log",
  validateSearch: (search: Record<string, unknown>): AuditFilter =>
    Object.fromEntries(["actor", "kind", "from", "to"].flatMap((name) => (typeof search[name] === "string" && search[name] ? [[name, search[name].slice(0, 64)]] : []))),
  loader: () => loadTexts("auditLog"),
  component: lazyRouteComponent(() => import("./audit-log"), "AuditLog"),
});
