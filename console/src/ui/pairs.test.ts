import { describe, expect, it } from "vitest";
import { objectOf, pairsOf } from "./pairs";

describe("rows of names and values", () => {
  it("are an object and back", () => expect(objectOf(pairsOf({ a: "1", "X-B": "{{ secrets.b }}" }))).toEqual({ a: "1", "X-B": "{{ secrets.b }}" }));
  it("are nothing without a name", () => expect([objectOf([]), objectOf([["  ", "x"]])]).toEqual([null, null]));
  it("take names without what is around them", () => expect(objectOf([[" a ", " x "]])).toEqual({ a: " x " }));
});
