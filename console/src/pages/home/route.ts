import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const homeRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/",
  loader: () => {
    void import("./queries").then(({ askAhead }) => askAhead());
    return loadTexts("home", "banners");
  },
  component: lazyRouteComponent(() => import("./home"), "Home"),
});
