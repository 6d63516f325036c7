import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";

export type BillingState = Schemas["Billing"];
export type SubscriptionState = Schemas["Subscription"];
export type Quota = Schemas["UsageQuota"];
export type Plan = Schemas["Plan"];
export const RETURN_TO = "/billing";

export function useBilling() {
  return useThing(["billing"], (signal) => data(api.GET("/api/billing", { signal })));
}

export function useUpdateSubscription(onDone: (billing: BillingState) => void) {
  return useChange((body: Schemas["UpdateSubscriptionRequestInput"]) => data(api.PATCH("/api/billing/subscription", { body })), [["billing"]], { onDone });
}

export function useUsage(query: { from?: string; to?: string; by: "day" | "flow" | "number" }) {
  const { by, ...days } = query;
  return useThing(["usage", query], (signal) => data(api.GET("/api/usage", { params: { query: { ...days, group_by: by } }, signal })), { enabled: useCan("usage:read") });
}

/** Names of agents or numbers by id. */
export function useNames(kind: "day" | "flow" | "number"): Map<string, string> {
  const flows = useAllFlows(kind === "flow");
  const numbers = useThing(["numbers", "names"], (signal) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })), { enabled: kind === "number" });
  if (kind === "flow") return new Map(flows.data?.map((each) => [each.id, each.name]));
  return new Map(numbers.data?.numbers.map((each) => [each.id, each.friendly_name ? `${each.friendly_name} ${each.e164}` : each.e164]));
}
