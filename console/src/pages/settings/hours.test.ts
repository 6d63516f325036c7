import { describe, expect, it } from "vitest";
import { type BusinessHours, type Week, faultsOf, hoursOf, isOvernight, nextSpan, officeWeek, weekOf } from "./hours";

const SHUT: Week = { mon: [], tue: [], wed: [], thu: [], fri: [], sat: [], sun: [] };
const HOURS = {
  time_zone: "America/New_York",
  weekly: { mon: [["09:00", "12:00"], ["13:00", "24:00"]], sat: [["22:00", "02:00"]] },
  holidays: ["2026-12-25"],
} as unknown as BusinessHours;

describe("business hours", () => {
  it("come back as they went in", () => expect(hoursOf(weekOf(HOURS), "America/New_York", ["2026-12-25"])).toEqual(HOURS));
  it("have no zone and no holidays of their own unless there are some", () => expect(hoursOf({ ...SHUT, sun: [{ opens: "10:00", closes: "12:00" }] }, "", [])).toEqual({ weekly: { sun: [["10:00", "12:00"]] } }));
  it("may go over midnight, but the end of the day is none", () => {
    expect([isOvernight({ opens: "22:00", closes: "02:00" }), isOvernight({ opens: "09:00", closes: "00:00" }), isOvernight({ opens: "09:00", closes: "17:00" })]).toEqual([true, false, false]);
  });
  it("are refused where they overlap, are half, or are none", () => {
    const day = (...mon: [string, string][]) => faultsOf({ ...SHUT, mon: mon.map(([opens, closes]) => ({ opens, closes })) });
    expect(day(["09:00", "12:00"], ["12:00", "17:00"]).days).toEqual({});
    expect(day(["09:00", "13:00"], ["12:00", "17:00"]).days).toEqual({ mon: "order" });
    expect(day(["22:00", "02:00"], ["23:00", "23:30"]).days).toEqual({ mon: "order" });
    expect(day(["09:00", ""]).days).toEqual({ mon: "empty" });
    expect(day(["09:00", "09:00"]).days).toEqual({ mon: "same" });
    expect(day(["00:00", "00:00"]).days).toEqual({});
    expect(faultsOf(SHUT).week).toBe("allClosed");
    expect(faultsOf(officeWeek())).toEqual({ days: {} });
  });
  it("offer what comes next", () => {
    expect(nextSpan([])).toEqual({ opens: "09:00", closes: "17:00" });
    expect(nextSpan([{ opens: "09:00", closes: "12:00" }])).toEqual({ opens: "13:00", closes: "16:00" });
    expect(nextSpan([{ opens: "18:00", closes: "23:30" }])).toEqual({ opens: "22:00", closes: "23:00" });
  });
});
