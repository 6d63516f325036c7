import { describe, expect, it } from "vitest";
import { dayShift, instantOf, laterChoices, wallClock } from "./zoned";

describe("the organization's clocks", () => {
  it.each([
    ["2026-11-26T14:30", "America/New_York", "2026-11-26T19:30:00.000Z"],
    ["2026-11-26T14:30", "Pacific/Auckland", "2026-11-26T01:30:00.000Z"],
    ["2026-07-01T00:00", "Europe/Berlin", "2026-06-30T22:00:00.000Z"],
    ["2026-11-01T00:30", "America/New_York", "2026-11-01T04:30:00.000Z"],
    ["2026-11-01T12:00", "America/New_York", "2026-11-01T17:00:00.000Z"],
  ])("%s in %s", (wall, zone, instant) => {
    expect(instantOf(wall, zone)?.toISOString()).toBe(instant);
    expect(wallClock(new Date(instant), zone)).toBe(wall);
  });
  it("goes over an hour that doesn't exist", () => {
    expect(wallClock(instantOf("2026-03-08T02:30", "America/New_York") ?? new Date(0), "America/New_York")).toBe("2026-03-08T03:30");
  });
  it("takes no nonsense", () => expect(instantOf("", "UTC")).toBeNull());
  it("shifts days over a year's end", () => expect(dayShift("2026-12-31T22:10", 1, "09:00")).toBe("2027-01-01T09:00"));
});

describe("later", () => {
  const shown = (now: string): string[] => laterChoices(new Date(now), "America/New_York").map((each) => `${each.key} ${wallClock(each.at, "America/New_York")}`);
  it("offers the evening only before it", () => {
    expect(shown("2026-11-26T15:02:00Z")).toEqual(["hours 2026-11-26T12:15", "evening 2026-11-26T18:00", "tomorrow 2026-11-27T09:00", "monday 2026-11-30T09:00"]);
    expect(shown("2026-11-26T22:02:00Z").map((each) => each.split(" ")[0])).toEqual(["hours", "tomorrow", "monday"]);
  });
  it("says Monday once on a Sunday", () => expect(shown("2026-11-29T15:00:00Z").some((each) => each.startsWith("monday"))).toBe(false));
});
