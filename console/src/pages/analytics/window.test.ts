import { describe, expect, it } from "vitest";
import { before, searchOf, windowOf } from "./window";

describe("the days shown", () => {
  it("are those of the URL, if they can be", () => {
    expect(searchOf({ days: 7, agent: "flow_1" })).toEqual({ days: 7, agent: "flow_1" });
    expect(searchOf({ from: "2026-03-01", to: "2026-03-31", days: 7 })).toEqual({ from: "2026-03-01", to: "2026-03-31" });
    expect(searchOf({ from: "2026-03-31", to: "2026-03-01" })).toEqual({});
    expect(searchOf({ from: "2025-01-01", to: "2026-03-01" })).toEqual({});
    expect(searchOf({ from: "2026-02-30", to: "2026-03-01", days: 12 })).toEqual({});
  });
  it("end today, the last one included", () => {
    expect(windowOf({}, "2026-11-26")).toEqual({ first: "2026-10-28", last: "2026-11-26" });
    expect(windowOf({ days: 7 }, "2026-11-26")).toEqual({ first: "2026-11-20", last: "2026-11-26" });
  });
  it("are compared with as many days before", () => {
    expect(before({ first: "2026-11-20", last: "2026-11-26" })).toEqual({ first: "2026-11-13", last: "2026-11-19" });
    expect(before({ first: "2026-03-01", last: "2026-03-01" })).toEqual({ first: "2026-02-28", last: "2026-02-28" });
  });
});
