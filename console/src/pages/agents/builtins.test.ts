import { expect, it } from "vitest";
import { builtinsOf, listing, switched } from "./builtins";
import { BLANK, type Draft } from "./flow";

const CALLS: Draft = { ...BLANK, kind: "inbound" };

it("an agent of calls can text, unless it switches that off", () => {
  const text = (draft: Draft) => builtinsOf(draft).find((each) => each.name === "send_text");
  expect(text(CALLS)).toEqual({ name: "send_text", isOn: true, isOff: false });
  expect(text({ ...CALLS, tools_json: [{ name: "send_text", enabled: false }] })).toEqual({ name: "send_text", isOn: false, isOff: true });
  expect(text({ ...CALLS, tools_json: [{ name: "send_text" }] })?.isOn).toBe(true);
});

it("switching tools off lists none, and listing keeps what is off", () => {
  const off = switched(null, "send_text", false);
  expect(off).toEqual([{ name: "send_text", enabled: false }]);
  expect(switched(off, "send_text", true)).toBeNull();
  expect(switched([{ name: "orders" }], "send_text", false)).toEqual([{ name: "orders" }, { name: "send_text", enabled: false }]);
  expect(listing(off, ["orders"])).toEqual([{ name: "send_text", enabled: false }, { name: "orders" }]);
  expect(listing(listing(off, ["orders"]), null)).toEqual(off);
  expect(listing([{ name: "orders" }], null)).toBeNull();
});
