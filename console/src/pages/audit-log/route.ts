import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export interface AuditFilter {
  actor?: string;
  action?: string;
}

export const auditLogRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/audit-log",
  validateSearch: (search: Record<string, unknown>): AuditFilter => {
    const text = (name: string): string => (typeof search[name] === "string" ? search[name].slice(0, 64) : "");
    return { ...(text("actor") ? { actor: text("actor") } : {}), ...(text("action") ? { action: text("action") } : {}) };
  },
  loader: () => loadTexts("auditLog"),
  component: lazyRouteComponent(() => import("./audit-log"), "AuditLog"),
});
