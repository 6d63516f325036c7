import { expect, it } from "vitest";
import { attributesOf, rowsOf } from "./attributes";

it("keeps the kind of what was no string", () => {
  const before = { plan: "gold", visits: 3, pets: ["Rex"] };
  const rows = rowsOf(before);
  expect(rows).toEqual([["plan", "gold"], ["visits", "3"], ["pets", '["Rex"]']]);
  expect(attributesOf(rows, before)).toEqual(before);
  expect(attributesOf([["visits", "4"], ["zip", "01234"], ["", "x"]], before)).toEqual({ visits: 4, zip: "01234" });
  expect(attributesOf([["visits", "many"]], before)).toEqual({ visits: "many" });
  expect(attributesOf([], before)).toBeNull();
});
