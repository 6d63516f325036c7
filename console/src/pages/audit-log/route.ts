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
  validateSearch: (search: Record<string, unknown>): AuditFilter => {
    const { actor, kind, from, to } = search;
    const isDay = (day: unknown): day is string => typeof day === "string" && /^\d{4}-\d\d-\d\d$/.test(day) && !Number.isNaN(Date.parse(day));
    return {
      ...(typeof actor === "string" && actor ? { actor: actor.slice(0, 64) } : {}),
      ...(typeof kind === "string" && kind ? { kind: kind.slice(0, 64) } : {}),
      ...(isDay(from) ? { from } : {}),
      ...(isDay(to) ? { to } : {}),
    };
  },
  loader: () => loadTexts("auditLog"),
  component: lazyRouteComponent(() => import("./audit-log"), "AuditLog"),
});
