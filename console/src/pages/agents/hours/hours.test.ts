import { describe, expect, it } from "vitest";
import { clockOf, inOrder, minutesOf, moved, nextSpan, overlapsOf, resized, typed, usualWeek, weekOf, weeklyOf } from "./hours";

const HOURS = { weekly: { mon: [["09:00", "12:00"], ["13:00", "24:00"]], fri: [["22:00", "02:00"]] } };

describe("the week", () => {
  it("is the API's, there and back, over midnight too", () => {
    expect(weeklyOf(weekOf(HOURS))).toEqual(HOURS.weekly);
    expect(weekOf(HOURS).fri).toEqual([{ from: 1320, to: 1560 }]);
  });
  it("reads what it can of anything", () => {
    expect(weeklyOf(weekOf({ weekly: { mon: [["9", "17:00"], ["25:00", "26:00"], ["09:00"]], tue: "closed" } }))).toEqual({});
    expect(weeklyOf(weekOf(null))).toEqual({});
  });
  it("usually is nine to five", () => expect(weeklyOf(usualWeek())).toMatchObject({ fri: [["09:00", "17:00"]] }));
});

describe("times", () => {
  it.each([
    ["09:30", 570],
    ["24:00", 1440],
    ["24:01", null],
    ["09:75", null],
  ])("%s", (clock, minutes) => expect(minutesOf(clock)).toBe(minutes));
  it("shows the next day's", () => expect([clockOf(1560), clockOf(1440), clockOf(0)]).toEqual(["02:00", "24:00", "00:00"]));
  it("takes midnight as an end, and an earlier end for the next day's", () => {
    expect(typed("18:00", "00:00")).toEqual({ from: 1080, to: 1440 });
    expect(typed("18:00", "06:00")).toEqual({ from: 1080, to: 1800 });
    expect(typed("", "06:00")).toBeNull();
  });
});

describe("changes", () => {
  const span = { from: 540, to: 1020 };
  it("are put in order and never joined", () => expect(inOrder([{ from: 660, to: 1020 }, { from: 480, to: 720 }])).toEqual([{ from: 480, to: 720 }, { from: 660, to: 1020 }]));
  it.each([
    ["apart", ["08:00", "12:00"], ["13:00", "17:00"], []],
    ["that meet", ["08:00", "12:00"], ["12:00", "17:00"], []],
    ["that overlap", ["08:00", "12:00"], ["11:00", "17:00"], [1]],
    ["that overlap, out of order", ["11:00", "17:00"], ["08:00", "12:00"], [0]],
    ["one within the other", ["08:00", "17:00"], ["11:00", "12:00"], [1]],
    ["the same twice", ["08:00", "12:00"], ["08:00", "12:00"], [1]],
    ["over midnight", ["22:00", "02:00"], ["23:00", "23:30"], [1]],
  ])("of two spans %s are told what overlaps", (_, one, other, found) => {
    expect(overlapsOf({ weekly: { mon: [one, other] } })).toEqual(found.map((at) => `business_hours_json.weekly.mon[${at}]`));
  });
  it("stay within the day that a span begins on", () => {
    expect(moved(span, -600)).toEqual({ from: 0, to: 480 });
    expect(moved(span, 2000)).toEqual({ from: 1425, to: 1905 });
  });
  it("leave no span empty, and none longer than a day", () => {
    expect(resized(span, "to", -2000)).toEqual({ from: 540, to: 555 });
    expect(resized(span, "to", 5000)).toEqual({ from: 540, to: 1980 });
    expect(resized(span, "from", 2000)).toEqual({ from: 1005, to: 1020 });
    expect(resized({ from: 1320, to: 1560 }, "from", -5000)).toEqual({ from: 120, to: 1560 });
  });
  it("propose hours after the last ones, while the day has room", () => {
    expect(nextSpan([])).toEqual({ from: 540, to: 1020 });
    expect(nextSpan([{ from: 540, to: 720 }])).toEqual({ from: 780, to: 960 });
    expect(nextSpan([{ from: 540, to: 1400 }])).toBeNull();
  });
});
