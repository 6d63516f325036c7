/** What a person can do about a plan. */
import type { Schemas } from "@/api/client";

const OVER: readonly string[] = ["canceled", "incomplete_expired"];

export type Offer = "current" | "individual" | "notForSale" | "take" | "change";

/** A first plan is taken at the checkout; a subscription is changed, unless its price is individual. */
export function offerOf(plan: Schemas["Plan"], subscription: Schemas["Subscription"] | null | undefined): Offer {
  const running = subscription && !OVER.includes(subscription.status ?? "") ? subscription : null;
  if (running?.plan_id === plan.id) return "current";
  if (running?.individual_price) return "individual";
  if (!plan.for_sale) return "notForSale";
  return running ? "change" : "take";
}
