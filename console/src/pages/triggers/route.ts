import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const triggersRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/triggers",
  loader: () => loadTexts("triggers"),
  component: lazyRouteComponent(() => import("./triggers"), "Triggers"),
});

export interface TriggerSearch {
  tab?: "settings";
  /** The one that is open beside the list. */
  delivery?: string;
}

export const triggerRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/triggers/$id",
  validateSearch: (search: Record<string, unknown>): TriggerSearch => ({
    ...(search["tab"] === "settings" ? { tab: "settings" } : {}),
    ...(typeof search["delivery"] === "string" ? { delivery: search["delivery"] } : {}),
  }),
  loader: () => loadTexts("triggers", "json"),
  component: lazyRouteComponent(() => import("./trigger"), "TriggerPage"),
});
