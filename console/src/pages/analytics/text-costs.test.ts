import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { costCell, sums, textCostOf } from "./text-costs";

type Line = Schemas["UsageLine"];
const line = (meter: Line["meter"], amount: string | null, currency = "USD"): Line => ({ meter, item: "US", quantity: 3, basis: amount === null ? "none" : "estimate", cost: amount === null ? null : { currency, amount } });
const of = (...lines: Line[]) => textCostOf({ usage: { lines, costs: [], is_priced: true } });

describe("what texts cost", () => {
  it("is what segments and texts with files cost, and nothing else", () => {
    const cost = of(line("segments_sent", "0.0249"), line("media_messages_sent", "0.022"), line("segments_received", "0.0083"), line("text_tokens_out", "5"), line("inbound_seconds", "0.0085"));
    expect([cost.sent, cost.received, cost.all].map(costCell)).toEqual(["0.0469 USD", "0.0083 USD", "0.0552 USD"]);
    expect(cost.isPriced).toBe(true);
  });
  it("is more than is known where a price is missing", () => {
    const cost = of(line("segments_sent", null), line("segments_received", "0.0083"));
    expect([costCell(cost.all), cost.isPriced]).toEqual(["0.0083 USD", false]);
    expect(of(line("text_tokens_in", null)).isPriced).toBe(true);
  });
  it("is nothing where nothing was used", () => expect(textCostOf({ usage: null })).toEqual({ sent: [], received: [], all: [], isPriced: true }));
});

describe("a sum", () => {
  it.each([
    [["0.1", "0.2"], "0.3 USD"],
    [["0.000000000001", "12"], "12.000000000001 USD"],
    [["99.5", "0.5"], "100 USD"],
  ])("of %j is exact", (amounts, sum) => expect(costCell(sums(amounts.map((amount) => ({ currency: "USD", amount }))))).toBe(sum));
  it("is one of each currency", () => expect(costCell(sums([{ currency: "USD", amount: "1" }, { currency: "EUR", amount: "2" }, { currency: "USD", amount: "1" }]))).toBe("2 EUR + 2 USD"));
});
