import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { shellRoute } from "@/app/roots";
import { loadTexts } from "@/i18n";

export interface VoicemailSearch {
  show?: "unheard" | "heard";
  /** The one that is open beside the list. */
  id?: string;
}

export const voicemailsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: "/voicemails",
  validateSearch: ({ show, id }: Record<string, unknown>): VoicemailSearch => ({
    ...(show === "unheard" || show === "heard" ? { show } : {}),
    ...(typeof id === "string" ? { id } : {}),
  }),
  loader: () => loadTexts("voicemails", "calls", "call"),
  component: lazyRouteComponent(() => import("./voicemails"), "Voicemails"),
});
