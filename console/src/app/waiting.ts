/** What waits for somebody, asked once for the sidebar and the tab's title; the stream's news refetch it. */
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";

/** More than that are not told apart. */
export const MOST = 99;

export function useUnreadTexts() {
  return useThing(["inbox", "counts"], (signal) => data(api.GET("/api/sms/inbox", { signal })), { enabled: useCan("sms:read") }).data;
}

export function useUnheardVoicemails(): number | undefined {
  return useThing(["dashboard"], (signal) => data(api.GET("/api/dashboard", { signal })), { enabled: useCan("analytics:read") }).data?.unheard_voicemails;
}

/** Somebody may be on the phone while it waits: it is told wherever one is. */
export function usePendingApprovals(): number | undefined {
  const query = { state: "pending", limit: MOST + 1 } as const;
  return useThing(["approvals", "pending", MOST + 1], (signal) => data(api.GET("/api/approvals", { params: { query }, signal })), { enabled: useCan("approvals:read") }).data?.approvals.length;
}
