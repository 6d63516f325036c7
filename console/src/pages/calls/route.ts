import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";
import { callSearch, listSearch } from "./search";

export const callsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/calls",
  validateSearch: listSearch,
  loader: ({ location }) => {
    void import("./queries").then(({ askAhead }) => askAhead(listSearch(location.search as Record<string, unknown>)));
    return loadTexts("calls");
  },
  component: lazyRouteComponent(() => import("./calls"), "Calls"),
});

export const scheduledCallsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/calls/scheduled",
  loader: () => loadTexts("calls"),
  component: lazyRouteComponent(() => import("./scheduled"), "ScheduledCalls"),
});

export const blockedRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/calls/blocked",
  loader: () => loadTexts("calls"),
  component: lazyRouteComponent(() => import("./blocked"), "Blocked"),
});

export const callRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/calls/$id",
  validateSearch: callSearch,
  loader: ({ params }) => {
    void import("./queries").then(({ askCallAhead }) => askCallAhead(params.id));
    return loadTexts("calls", "call", "approvals", "forms", "json");
  },
  component: lazyRouteComponent(() => import("./call/page"), "CallPage"),
});
