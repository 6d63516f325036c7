import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const teamRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/team",
  validateSearch: (search: Record<string, unknown>): { tab?: "invitations" } => (search["tab"] === "invitations" ? { tab: "invitations" } : {}),
  loader: () => loadTexts("team"),
  component: lazyRouteComponent(() => import("./team"), "Team"),
});
