import { describe, expect, it } from "vitest";
import { addDays, change, daysIn, isDay } from "./days";

describe("days", () => {
  it("counts over months, leap days and the change of clocks", () => {
    expect(addDays("2028-02-28", 1)).toBe("2028-02-29");
    expect(addDays("2026-03-08", 1)).toBe("2026-03-09");
    expect(addDays("2026-01-01", -1)).toBe("2025-12-31");
    expect(daysIn("2026-03-01", "2026-03-31")).toBe(31);
    expect(daysIn("2026-11-26", "2026-11-26")).toBe(1);
  });
  it("knows which days there are", () => {
    expect(["2026-02-28", "2026-02-30", "2026-2-1", "", null].map(isDay)).toEqual([true, false, false, false, false]);
  });
  it("compares with nothing as with nothing", () => {
    expect(change(3, 2)).toBe(0.5);
    expect([change(3, 0), change(null, 2), change(3, undefined)]).toEqual([null, null, null]);
  });
});
