import { describe, expect, it } from "vitest";
import { floorOf, levelOf, withDelta, withTurn, withoutUnsaid } from "./transcript";

const delta = (item_id: string, text: string, start_ms = 0) => ({ role: "agent" as const, item_id, text, start_ms });
const turn = (item_id: string | null, text: string, more = {}) => ({ seq: 1, role: "agent" as const, text, start_ms: 0, end_ms: 900, interrupted: false, heard_text: text, item_id, ...more });

describe("a live transcript", () => {
  it("grows by pieces, and is as it was heard in the end", () => {
    let lines = withDelta(withDelta([], delta("a", "Good ")), delta("a", "morning, how can I"));
    expect(lines.map((each) => each.text)).toEqual(["Good morning, how can I"]);
    lines = withTurn(lines, turn("a", "Good morning, how can I help?", { interrupted: true, heard_text: "Good morning" }));
    expect(lines).toMatchObject([{ text: "Good morning …", isCut: true, isFinal: true }]);
    expect(withDelta(lines, delta("a", " help?"))).toBe(lines);
  });
  it("is in the order of speech", () => {
    const lines = withDelta(withDelta([], delta("b", "second", 900)), delta("a", "first", 100));
    expect(lines.map((each) => each.key)).toEqual(["a", "b"]);
  });
  it("shows no sentence twice, and none that was never heard", () => {
    const lines = withDelta(withTurn(withTurn([], turn("a", "Hi.")), turn("a", "Hi.")), delta("b", "unheard", 5000));
    expect(withoutUnsaid(lines).map((each) => each.text)).toEqual(["Hi."]);
  });
});

describe("the floor", () => {
  it("is whose sound is louder than a room", () => {
    expect([floorOf(0.1, 0), floorOf(0, 0.1), floorOf(0.1, 0.1), floorOf(0.001, 0.001)]).toEqual(["caller", "agent", "both", "nobody"]);
  });
  it("has levels of samples", () => expect([levelOf([0.5, -0.5]), levelOf([])]).toEqual([0.5, 0]));
});
