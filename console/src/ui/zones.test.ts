import { describe, expect, it } from "vitest";
import { allZones, currentName, ownZone, zoneOfText, zonesFor } from "./zones";

const ZONES = allZones();
const first = (text: string): string | undefined => zonesFor(text, ZONES)[0]?.zone;

describe("time zones", () => {
  it.each([
    ["Indianapolis", "America/Indiana/Indianapolis"],
    ["indiana", "America/Indiana/Indianapolis"],
    ["new york", "America/New_York"],
    ["America/New_York", "America/New_York"],
    ["Boston", "America/New_York"],
    ["texas", "America/Chicago"],
    ["st. louis", "America/Chicago"],
    ["Bogota", "America/Bogota"],
    ["bogotá", "America/Bogota"],
    ["España", "Europe/Madrid"],
    ["mumbai", "Asia/Kolkata"],
    ["utc", "UTC"],
  ])("%s is found", (text, zone) => expect(first(text)).toBe(zone));

  it("have the names of today", () => {
    expect(ZONES).toContain("America/Indiana/Indianapolis");
    expect(ZONES).not.toContain("America/Indianapolis");
    expect(currentName("Asia/Calcutta")).toBe("Asia/Kolkata");
    expect(ZONES).toContain(ownZone());
  });
  it("are all of them where nothing is asked, and none for what is no place", () => {
    expect(zonesFor(" ", ZONES)).toHaveLength(ZONES.length);
    expect(zonesFor("Atlantis", ZONES)).toEqual([]);
  });
  it("say by which place they were found", () => expect(zonesFor("Boston", ZONES)[0]).toEqual({ zone: "America/New_York", place: "Boston" }));
  it.each([
    ["indianapolis", "America/Indiana/Indianapolis"],
    ["america/new_york", "America/New_York"],
    ["Birmingham", undefined], // in Alabama and in England
    ["India", "Asia/Kolkata"],
    ["Bost", undefined],
    ["", undefined],
  ])("“%s” typed out is %s", (text, zone) => expect(zoneOfText(text, ZONES)).toBe(zone));
});
