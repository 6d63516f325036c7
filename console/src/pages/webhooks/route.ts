import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const webhooksRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/webhooks",
  loader: () => loadTexts("webhooks"),
  component: lazyRouteComponent(() => import("./webhooks"), "Webhooks"),
});

export const newWebhookRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/webhooks/new",
  loader: () => loadTexts("webhooks"),
  component: lazyRouteComponent(() => import("./new"), "NewWebhook"),
});

export const DELIVERY_STATES = ["pending", "delivered", "failed", "missed", "canceled"] as const;

export interface WebhookSearch {
  tab?: "settings";
  state?: (typeof DELIVERY_STATES)[number];
  /** The one that is open beside the list. */
  delivery?: string;
}

export const webhookRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/webhooks/$id",
  validateSearch: (search: Record<string, unknown>): WebhookSearch => {
    const state = DELIVERY_STATES.find((each) => each === search["state"]);
    return {
      ...(search["tab"] === "settings" ? { tab: "settings" } : {}),
      ...(state ? { state } : {}),
      ...(typeof search["delivery"] === "string" ? { delivery: search["delivery"] } : {}),
    };
  },
  loader: () => loadTexts("webhooks", "json"),
  component: lazyRouteComponent(() => import("./webhook/page"), "WebhookPage"),
});
