import { describe, expect, it } from "vitest";
import { faultOf, identityOf, rowsOf } from "./facts";

describe("facts about the business", () => {
  it("keep what isn't text", () => {
    const identity = { address: "1 Main Street", seats: 40, links: ["a"] };
    const { rows, kept } = rowsOf(identity);
    expect(rows).toEqual([{ name: "address", value: "1 Main Street" }]);
    expect(identityOf(rows, kept)).toEqual(identity);
    expect(identityOf([], {})).toBeNull();
  });
  it("have a name each", () => {
    const rows = [{ name: "a", value: "" }, { name: " ", value: "x" }, { name: "a ", value: "" }, { name: "seats", value: "" }];
    expect(rows.map((_, at) => faultOf(rows, at, { seats: 40 }))).toEqual([null, "nameless", "twice", "twice"]);
  });
});
