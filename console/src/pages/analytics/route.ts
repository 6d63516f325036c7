import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";
import { type AnalyticsSearch, searchOf } from "./window";

const calls = createRoute({
  getParentRoute: () => shellRoute,
  path: "/analytics",
  validateSearch: (search: Record<string, unknown>): AnalyticsSearch => searchOf(search),
  loader: () => loadTexts("analytics"),
  component: lazyRouteComponent(() => import("./analytics"), "Analytics"),
});

const texts = createRoute({
  getParentRoute: () => shellRoute,
  path: "/analytics/texts",
  validateSearch: (search: Record<string, unknown>): AnalyticsSearch => searchOf(search),
  loader: () => loadTexts("analytics"),
  component: lazyRouteComponent(() => import("./texts"), "TextAnalytics"),
});

export const analyticsRoutes = [calls, texts] as const;
