import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";
import { isDay } from "@/lib/days";

export const GROUPINGS = ["day", "flow", "number"] as const;
export interface BillingSearch {
  tab?: "usage";
  from?: string;
  to?: string;
  by?: "flow" | "number";
}

export const billingRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/billing",
  validateSearch: (search: Record<string, unknown>): BillingSearch => ({
    ...(search["tab"] === "usage" ? { tab: "usage" as const } : {}),
    ...(isDay(search["from"]) ? { from: search["from"] } : {}),
    ...(isDay(search["to"]) ? { to: search["to"] } : {}),
    ...(search["by"] === "flow" || search["by"] === "number" ? { by: search["by"] } : {}),
  }),
  loader: () => loadTexts("billing"),
  component: lazyRouteComponent(() => import("./billing"), "Billing"),
});
