import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { amountIn, costText, isSmaller, shareOf } from "./costs";

const plan = (limits: Partial<Schemas["Plan"]>): Schemas["Plan"] => ({ id: "p", name: "P", price_text: null, numbers: 1, minutes: 100, messages: 100, seats: 1, for_sale: true, sells_seats: false, ...limits });

describe("costs", () => {
  it("of several currencies are not added up", () => {
    expect(costText([{ currency: "USD", amount: "12.500000000000" }, { currency: "EUR", amount: "0.031" }])).toBe("$12.50 + €0.031");
    expect([costText([]), costText(undefined), costText([{ currency: "USD", amount: "0" }])]).toEqual(["–", "–", "–"]);
    expect(amountIn([{ currency: "EUR", amount: "2" }], "USD")).toBe(0);
  });
});

describe("limits", () => {
  it("warn before they are reached", () => {
    expect(shareOf({ used: 5, limit: 10, reached: false }).tone).toBe("accent");
    expect(shareOf({ used: 8, limit: 10, reached: false }).tone).toBe("warn");
    expect(shareOf({ used: 10, limit: 10, reached: true })).toEqual({ share: 1, tone: "bad" });
    expect(shareOf({ used: 0, limit: 0, reached: true }).share).toBe(1);
    expect(shareOf({ used: 9, limit: null, reached: false }).share).toBe(0);
  });
  it("are less in a smaller plan, and none is more than any", () => {
    expect(isSmaller(plan({ seats: 1 }), plan({ seats: 5 }))).toBe(true);
    expect(isSmaller(plan({ seats: null }), plan({ seats: 5 }))).toBe(false);
    expect(isSmaller(plan({ seats: 5 }), plan({ seats: null }))).toBe(true);
  });
});
