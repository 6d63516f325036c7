import { describe, expect, it } from "vitest";
import { endOfDay, scopesOf } from "./scopes";

describe("a key's scopes", () => {
  it("are one for each area, in one order", () => {
    expect(scopesOf({ sms: "write", calls: "read", team: "none" }, false)).toEqual(["calls:read", "sms:write"]);
    expect(scopesOf({}, true)).toEqual(["site:admin"]);
  });
});

describe("the end of a day", () => {
  it("is midnight in the organization's zone, also when clocks change", () => {
    expect(endOfDay("2026-12-31", "UTC")).toBe("2027-01-01T00:00:00.000Z");
    expect(endOfDay("2026-03-07", "America/New_York")).toBe("2026-03-08T05:00:00.000Z");
    expect(endOfDay("2026-03-08", "America/New_York")).toBe("2026-03-09T04:00:00.000Z");
    expect(endOfDay("2026-11-26", "Pacific/Auckland")).toBe("2026-11-26T11:00:00.000Z");
  });
});
