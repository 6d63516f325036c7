import { describe, expect, it } from "vitest";
import { held } from "./held";

const rows = (ids: string): { id: string }[] => [...ids].map((id) => ({ id }));
const shown = (before: string, now: string): [string, number] => {
  const { rows: kept, waiting } = held([...before], rows(now));
  return [kept.map((row) => row.id).join(""), waiting];
};

describe("a list that is held", () => {
  it("keeps places when rows rise to the top", () => expect(shown("abc", "cab")).toEqual(["abc", 0]));
  it("counts new rows", () => expect(shown("abc", "xycab")).toEqual(["abc", 2]));
  it("drops what is gone", () => expect(shown("abc", "ac")).toEqual(["ac", 0]));
  it("takes what was loaded by scrolling", () => expect(shown("abc", "xabcde")).toEqual(["abcde", 1]));
  it("takes all of another list", () => expect(shown("abc", "xyz")).toEqual(["xyz", 0]));
});
