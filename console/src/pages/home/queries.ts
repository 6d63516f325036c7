/** What the start page asks. Keys begin with the nouns that the stream's news refetch. */
import { api, data } from "@/api/client";
import { can, heldMe, useCan, useMe } from "@/api/me";
import { askThingAhead, useThing } from "@/api/queries";

const SHOWN_LIVE = 20;
/** Beyond so many, "50+" is said. */
export const COUNTED_MOST = 50;
const WEBHOOKS_MOST = 200;

const askDashboard = (signal: AbortSignal) => data(api.GET("/api/dashboard", { signal }));

export function useDashboard() {
  return useThing(["dashboard"], askDashboard, { enabled: useCan("analytics:read") });
}

/** While the page is still on its way. */
export function askAhead(): void {
  const me = heldMe();
  if (me && can(me, "analytics:read")) askThingAhead(["dashboard"], askDashboard);
}

/** The last eight days: yesterday, and the same day of the week before. */
export function useEightDays() {
  const ask = (signal: AbortSignal) => data(api.GET("/api/analytics", { params: { query: { days: 8 } }, signal }));
  return useThing(["dashboard", "days"], ask, { enabled: useCan("analytics:read") });
}

export function useLiveCalls() {
  const of = async (status: "ringing" | "in_progress", signal: AbortSignal) =>
    (await data(api.GET("/api/calls", { params: { query: { status, limit: SHOWN_LIVE } }, signal }))).calls;
  const ask = async (signal: AbortSignal) => (await Promise.all([of("in_progress", signal), of("ringing", signal)])).flat();
  return useThing(["calls", "live"], ask, { enabled: useCan("calls:read"), refetchMs: 30_000 });
}

export function usePendingApprovals() {
  const ask = (signal: AbortSignal) => data(api.GET("/api/approvals", { params: { query: { state: "pending", limit: COUNTED_MOST } }, signal }));
  return useThing(["approvals", "pending count"], ask, { enabled: useCan("approvals:read") });
}

export function useInboxCounts() {
  return useThing(["inbox", "counts"], (signal) => data(api.GET("/api/sms/inbox", { signal })), { enabled: useCan("sms:read") });
}

export function useTroubledWebhooks() {
  const ask = async (signal: AbortSignal) =>
    (await data(api.GET("/api/webhooks", { params: { query: { limit: WEBHOOKS_MOST } }, signal }))).webhooks.filter((each) => each.status === "failing" || each.disabled_reason);
  const me = useMe();
  return useThing(["webhooks", "troubled"], ask, { enabled: can(me, "webhooks:read") && !me.limited });
}

export function useReachedLimits() {
  const ask = async (signal: AbortSignal) => (await data(api.GET("/api/billing", { signal }))).resources.filter((each) => each.reached);
  return useThing(["billing", "reached"], ask, { enabled: useCan("billing:read") });
}

/** A number that an agent answers, if there is one; else any. */
export function useFirstNumber(isWanted: boolean) {
  const ask = async (signal: AbortSignal) => {
    const { numbers } = await data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal }));
    const active = numbers.filter((each) => each.status === "active");
    return active.find((each) => each.flow_id) ?? active[0] ?? null;
  };
  const mayRead = useCan("numbers:read");
  return useThing(["numbers", "first"], ask, { enabled: mayRead && isWanted });
}

export function useCallDetail(id: string | undefined) {
  const ask = (signal: AbortSignal) => data(api.GET("/api/calls/{id}", { params: { path: { id: id ?? "" } }, signal }));
  const mayRead = useCan("calls:read");
  return useThing(["calls", id ?? "none"], ask, { enabled: mayRead && id !== undefined });
}
