import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

const STATUSES = ["draft", "queued", "running", "paused", "completed", "canceled", "failed"] as const;
const RECIPIENT_STATUSES = ["pending", "sending", "sent", "delivered", "failed", "unknown", "opted_out", "skipped", "canceled"] as const;
export type CampaignStatus = (typeof STATUSES)[number];
export type RecipientStatus = (typeof RECIPIENT_STATUSES)[number];

const campaigns = createRoute({
  getParentRoute: () => shellRoute,
  path: "/campaigns",
  validateSearch: ({ status }: Record<string, unknown>): { status?: CampaignStatus } => {
    const found = STATUSES.find((each) => each === status);
    return found ? { status: found } : {};
  },
  loader: () => loadTexts("campaigns"),
  component: lazyRouteComponent(() => import("./campaigns"), "Campaigns"),
});

const newCampaign = createRoute({
  getParentRoute: () => shellRoute,
  path: "/campaigns/new",
  loader: () => loadTexts("campaigns"),
  component: lazyRouteComponent(() => import("./new"), "NewCampaign"),
});

const campaign = createRoute({
  getParentRoute: () => shellRoute,
  path: "/campaigns/$id",
  validateSearch: ({ status, edit }: Record<string, unknown>): { status?: RecipientStatus; edit?: true } => {
    const found = RECIPIENT_STATUSES.find((each) => each === status);
    return { ...(found ? { status: found } : {}), ...(edit === true ? { edit } : {}) };
  },
  loader: () => loadTexts("campaigns"),
  component: lazyRouteComponent(() => import("./campaign"), "Campaign"),
});

export const campaignRoutes = [campaigns, newCampaign, campaign] as const;
