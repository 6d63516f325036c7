import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const signInRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/sign-in",
  validateSearch: (search: Record<string, unknown>): { return_to?: string } => {
    const to = search["return_to"];
    return typeof to === "string" && /^\/(?!\/)/.test(to) ? { return_to: to } : {};
  },
  loader: () => loadTexts("shell", "welcome"),
  component: lazyRouteComponent(() => import("./sign-in"), "SignIn"),
});
