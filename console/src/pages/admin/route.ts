import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const requestsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/admin/organizations",
  loader: () => loadTexts("admin"),
  component: lazyRouteComponent(() => import("./requests"), "Requests"),
});
