import { describe, expect, it } from "vitest";
import { clockTime, dayOf, money, phone, shortTime } from "./format";

describe("times are the organization's", () => {
  it("cuts the day where the organization's midnight is", () => {
    const at = new Date("2026-11-26T03:30:00Z");
    expect(dayOf(at, "America/New_York")).toBe("2026-11-25");
    expect(dayOf(at, "Pacific/Auckland")).toBe("2026-11-26");
  });
  it("names the day only if it isn't today there", () => {
    const now = new Date("2026-11-26T03:30:00Z");
    expect(shortTime("2026-11-25T20:05:00Z", "America/New_York", now)).toMatch(/^3:05\sPM$/);
    expect(shortTime("2026-11-24T20:05:00Z", "America/New_York", now)).toMatch(/^Nov 24/);
    expect(shortTime("2025-11-24T20:05:00Z", "America/New_York", now)).toMatch(/2025$/);
  });
});

describe("lengths, numbers, money", () => {
  it.each([
    [0, "0:00"],
    [67.9, "1:07"],
    [3753, "1:02:33"],
    [-3, "0:00"],
  ])("shows %d s as %s", (seconds, shown) => expect(clockTime(seconds)).toBe(shown));
  it.each([
    ["+13175550001", "+1 317 555 0001"],
    ["+4915112345678", "+49 15 112 345 678"],
    ["anonymous", "anonymous"],
  ])("groups %s", (e164, shown) => expect(phone(e164)).toBe(shown));
  it("shows small sums in full", () => {
    expect(money(1_240_000)).toBe("$1.24");
    expect(money(7900)).toBe("$0.0079");
  });
});
