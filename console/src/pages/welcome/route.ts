import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const welcomeRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/welcome",
  loader: () => loadTexts("welcome"),
  component: lazyRouteComponent(() => import("./welcome"), "Welcome"),
});
