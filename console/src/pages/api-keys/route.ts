import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const apiKeysRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/api-keys",
  loader: () => loadTexts("apiKeys"),
  component: lazyRouteComponent(() => import("./api-keys"), "ApiKeys"),
});
