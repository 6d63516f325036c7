import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";
import { type AnalyticsSearch, searchOf } from "./window";

export const analyticsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/analytics",
  validateSearch: (search: Record<string, unknown>): AnalyticsSearch => searchOf(search),
  loader: () => loadTexts("analytics"),
  component: lazyRouteComponent(() => import("./analytics"), "Analytics"),
});
