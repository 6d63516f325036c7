import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export const TABS = ["general", "hours", "texts", "privacy", "emails"] as const;
export type SettingsTab = (typeof TABS)[number];

export const settingsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/settings",
  validateSearch: (search: Record<string, unknown>): { tab?: SettingsTab } => {
    const tab = TABS.find((each) => each === search["tab"]);
    return tab && tab !== "general" ? { tab } : {};
  },
  loader: () => loadTexts("settings"),
  component: lazyRouteComponent(() => import("./settings"), "Settings"),
});
