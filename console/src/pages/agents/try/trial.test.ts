import { describe, expect, it } from "vitest";
import { type TrialTurn, answered, asked, before, editedAt, isOver } from "./trial";

const said = (speaker: "caller" | "agent", text: string): TrialTurn => ({ speaker, text, toolCalls: [] });
const dialogue = [said("agent", "Hello."), said("caller", "Are you open?"), said("agent", "Yes."), said("caller", "Bye.")];
const call = { name: "lookup_knowledge", arguments: "{}", result: "{}", was_run: true, ok: true, duration_ms: 3 };

describe("a trial", () => {
  it("goes on from a turn that is edited, without what came after", () => {
    expect(editedAt(dialogue, 1, "Are you closed?").map((each) => each.text)).toEqual(["Hello.", "Are you closed?"]);
    expect(before(dialogue, 2).map((each) => each.text)).toEqual(["Hello.", "Are you open?"]);
  });
  it("remembers the tools of an answer, for the next question", () => {
    const turns = answered([said("caller", "Hi")], { text: "Hello.", tool_calls: [call], ended_by: null, instructions: "You are Ava.", tools: [] });
    expect(asked(turns)[1]).toEqual({ speaker: "agent", text: "Hello.", tool_calls: [call] });
    expect(isOver(turns)).toBe(false);
  });
  it("ends when the agent ends its part", () => {
    expect(isOver(answered(dialogue, { text: "Bye.", tool_calls: [], ended_by: "end_call", instructions: "", tools: [] }))).toBe(true);
  });
  it("asks with the newest turns when there are too many", () => {
    const long = Array.from({ length: 70 }, (_, at) => said(at % 2 ? "agent" : "caller", String(at)));
    expect(asked(long)).toHaveLength(60);
    expect(asked(long).at(-1)?.text).toBe("69");
  });
});
