import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const APPROVAL_STATES = ["pending", "approved", "done", "failed", "denied", "expired", "void"] as const;

export interface ApprovalSearch {
  /** What waits is shown unless one wants to see all. */
  view?: "all";
  state?: (typeof APPROVAL_STATES)[number];
  /** The one that is open beside the list of all. */
  id?: string;
}

export const approvalsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/approvals",
  validateSearch: (search: Record<string, unknown>): ApprovalSearch => {
    const state = APPROVAL_STATES.find((each) => each === search["state"]);
    const id = typeof search["id"] === "string" ? search["id"] : undefined;
    return { ...(search["view"] === "all" || state || id ? { view: "all" } : {}), ...(state ? { state } : {}), ...(id ? { id } : {}) };
  },
  loader: () => loadTexts("approvals", "forms", "json"),
  component: lazyRouteComponent(() => import("./approvals"), "Approvals"),
});
