import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

/** Which conversations are shown; when unset, everybody's that are open, without those that a campaign has opened and nobody has answered. */
export interface InboxSearch {
  status?: "snoozed" | "closed" | "campaigns" | "all";
  assignee?: string;
  unread?: true;
  number?: string;
  q?: string;
  /** To whom a text is being begun. */
  to?: string;
}

function inboxSearch(search: Record<string, unknown>): InboxSearch {
  const { status, assignee, unread, number, q, to } = search;
  return {
    ...(status === "snoozed" || status === "closed" || status === "campaigns" || status === "all" ? { status } : {}),
    ...(typeof assignee === "string" && assignee ? { assignee } : {}),
    ...(unread === true ? { unread } : {}),
    ...(typeof number === "string" && number ? { number } : {}),
    ...(q !== undefined && q !== "" ? { q: String(q).slice(0, 200) } : {}),
    ...(to !== undefined ? { to: String(to).slice(0, 200) } : {}),
  };
}

const inbox = createRoute({
  getParentRoute: () => shellRoute,
  path: "/inbox",
  validateSearch: inboxSearch,
  loader: ({ location }) => {
    void import("./queries").then(({ askAhead }) => askAhead(inboxSearch(location.search as Record<string, unknown>)));
    return loadTexts("inbox");
  },
  component: lazyRouteComponent(() => import("./inbox"), "Inbox"),
});

const conversation = createRoute({
  getParentRoute: () => inbox,
  path: "/$id",
  component: lazyRouteComponent(() => import("./thread"), "Thread"),
});

const nothingChosen = createRoute({
  getParentRoute: () => inbox,
  path: "/",
  component: lazyRouteComponent(() => import("./inbox"), "NothingChosen"),
});

const templates = createRoute({
  getParentRoute: () => shellRoute,
  path: "/inbox/templates",
  loader: () => loadTexts("inbox"),
  component: lazyRouteComponent(() => import("./templates"), "Templates"),
});

const scheduled = createRoute({
  getParentRoute: () => shellRoute,
  path: "/inbox/scheduled",
  loader: () => loadTexts("inbox"),
  component: lazyRouteComponent(() => import("./scheduled"), "Scheduled"),
});

const unknown = createRoute({
  getParentRoute: () => shellRoute,
  path: "/inbox/unknown",
  loader: () => loadTexts("inbox"),
  component: lazyRouteComponent(() => import("./unknown"), "Unknown"),
});

const optOuts = createRoute({
  getParentRoute: () => shellRoute,
  path: "/inbox/opt-outs",
  loader: () => loadTexts("inbox"),
  component: lazyRouteComponent(() => import("./opt-outs"), "OptOuts"),
});

export const inboxRoutes = [inbox.addChildren([conversation, nothingChosen]), templates, scheduled, unknown, optOuts] as const;
