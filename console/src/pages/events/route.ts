import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export interface EventSearch {
  /** A type, or a kind like `sms`. */
  type?: string;
  order?: "oldest";
  /** The one that is open beside the list. */
  id?: string;
}

export const eventsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/events",
  validateSearch: (search: Record<string, unknown>): EventSearch => {
    const { type, order, id } = search;
    return {
      ...(typeof type === "string" && /^[a-z0-9_.*]{1,100}$/.test(type) ? { type } : {}),
      ...(order === "oldest" ? { order } : {}),
      ...(typeof id === "string" ? { id } : {}),
    };
  },
  loader: () => loadTexts("events", "json"),
  component: lazyRouteComponent(() => import("./events"), "Events"),
});
