import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { offerOf } from "./offers";

const plan = (id: string, for_sale = true): Schemas["Plan"] => ({ id, name: id, price_text: null, numbers: 1, minutes: 100, messages: 100, seats: 1, for_sale, sells_seats: false });
const subscription = (more: Partial<Schemas["Subscription"]>): Schemas["Subscription"] => ({
  id: "sub_1",
  status: "active",
  plan_id: "starter",
  extra_seats: 0,
  period_starts_at: null,
  period_ends_at: null,
  cancel_at_period_end: false,
  unpaid_since: null,
  grace_ends_at: null,
  individual_price: false,
  ...more,
});

describe("plans", () => {
  it("are taken first and changed later", () => {
    expect([offerOf(plan("starter"), null), offerOf(plan("free", false), null)]).toEqual(["take", "notForSale"]);
    expect([offerOf(plan("starter"), subscription({})), offerOf(plan("business"), subscription({}))]).toEqual(["current", "change"]);
    expect(offerOf(plan("starter"), subscription({ status: "canceled" }))).toBe("take");
  });

  it("are the operator's to change for an individual price", () => {
    const agreed = subscription({ individual_price: true });
    expect(["starter", "business"].map((id) => offerOf(plan(id), agreed))).toEqual(["current", "individual"]);
    expect(offerOf(plan("business"), { ...agreed, status: "canceled" })).toBe("take");
  });
});
