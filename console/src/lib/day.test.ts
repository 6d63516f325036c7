import { describe, expect, it } from "vitest";
import { clockOf, instantOf, nextDay, startOfDay } from "./day";

describe("the organization's days", () => {
  it.each([
    ["2026-11-26", "America/New_York", "2026-11-26T05:00:00.000Z"],
    ["2026-07-01", "America/New_York", "2026-07-01T04:00:00.000Z"],
    ["2026-11-26", "Pacific/Auckland", "2026-11-25T11:00:00.000Z"],
    ["2026-11-26", "Asia/Kathmandu", "2026-11-25T18:15:00.000Z"],
    ["2026-09-06", "America/Santiago", "2026-09-06T04:00:00.000Z"], // midnight itself is left out there
  ])("%s begins in %s at %s", (day, zone, at) => expect(startOfDay(day, zone)).toBe(at));
  it("goes over the end of a year", () => expect(nextDay("2026-12-31")).toBe("2027-01-01"));
  it("reads a clock of the zone, and refuses a time that isn't on it", () => {
    expect(instantOf("2026-11-26", "14:30", "America/New_York")).toBe("2026-11-26T19:30:00.000Z");
    expect(instantOf("2026-03-08", "02:30", "America/New_York")).toBeUndefined();
    expect(clockOf(new Date("2026-11-26T19:30:00Z"), "America/New_York")).toBe("2026-11-26T14:30");
  });
});
