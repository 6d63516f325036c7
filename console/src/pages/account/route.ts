import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const accountRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/me",
  loader: () => loadTexts("account"),
  component: lazyRouteComponent(() => import("./account"), "Account"),
});
