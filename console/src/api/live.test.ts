import { describe, expect, it } from "vitest";
import { type News, isConcerned, isUntold, touched } from "./live";

const CALL = "call_01M8CB98TVM45FH50VCMXFKHDN";
const OTHER = "call_01M8CBEQ94PXZ81P8KG25TR1NC";

describe("what news touch", () => {
  it.each<[News, string[]]>([
    [{ type: "call.updated", id: CALL }, ["calls", "dashboard"]],
    [{ type: "message.created", id: "msg" }, ["conversations", "inbox"]],
    [{ type: "resource.changed", kind: "flow", id: "f" }, ["flows"]],
    [{ type: "resource.changed", kind: "contact", id: "k" }, ["contacts"]],
    [{ type: "resource.deleted", kind: "call", id: CALL }, ["calls", "dashboard"]],
    [{ type: "resource.changed", kind: "something new", id: "x" }, []],
  ])("%o", (news, nouns) => expect(touched(news).nouns).toEqual(nouns));
});

describe("which queries are asked again", () => {
  const ids = new Set([CALL]);
  it("are the lists of that noun, and the details of that thing alone", () => {
    expect(isConcerned(["calls", "list", {}], "calls", ids)).toBe(true);
    expect(isConcerned(["calls", CALL], "calls", ids)).toBe(true);
    expect(isConcerned(["calls", CALL, "notes"], "calls", ids)).toBe(true);
    expect(isConcerned(["calls", OTHER], "calls", ids)).toBe(false);
    expect(isConcerned(["numbers", OTHER.slice(-26)], "numbers", new Set([CALL.slice(-26)]))).toBe(false);
    expect(isConcerned(["flows", "names"], "calls", ids)).toBe(false);
    expect(isConcerned(["dashboard"], "dashboard", ids)).toBe(true);
  });
  it("are, for who comes back to a tab, those that no news are of; and never what is drawn from a file", () => {
    expect([["team", "members"], ["api-keys"], ["me"]].map(isUntold)).toEqual([true, true, true]);
    expect([["calls", "list", {}], ["contacts", "list", {}], ["peaks", "calls", CALL], ["voices"]].map(isUntold)).toEqual([false, false, false, false]);
  });
});
