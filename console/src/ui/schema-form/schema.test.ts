import { describe, expect, it } from "vitest";
import { childPath, isUnder, stepsOf } from "./path";
import { type JsonSchema, blankOf, complaint, renamed, resolved, shapeOf, withMember, wordsOf } from "./schema";

describe("shapes", () => {
  it.each<[JsonSchema, string]>([
    [{ type: "object", additionalProperties: false, properties: { a: { type: "string" } } }, "object"],
    [{ type: "object", additionalProperties: { type: "string" } }, "map"],
    [{ type: "object", additionalProperties: true, properties: { type: {} } }, "json"],
    [{ type: "array", items: { type: "string" } }, "array"],
    [{ type: "string", enum: ["low", "high"] }, "choice"],
    [{ type: ["integer", "null"], minimum: 5 }, "number"],
    [{ type: ["string", "object"] }, "json"],
    [{ type: "boolean" }, "boolean"],
  ])("%j is a %s", (schema, shape) => expect(shapeOf(schema)).toBe(shape));

  it("follows references, and leaves null out", () => {
    const schemas = { Hours: { type: "object", description: "theirs" } };
    expect(resolved({ oneOf: [{ $ref: "#/components/schemas/Hours" }, { type: "null" }], description: "ours" }, schemas)).toEqual({ type: "object", description: "ours" });
  });

  it("begins elements with what is allowed", () => {
    expect(blankOf({ type: "integer", minimum: 30 })).toBe(30);
    expect(blankOf({ type: "array", minItems: 2, items: { type: "string" } })).toEqual(["", ""]);
  });
});

describe("changes", () => {
  it("leaves out what is cleared", () => expect(withMember({ a: 1, b: 2 }, "a", undefined)).toEqual({ b: 2 }));
  it("renames in place, and never over another", () => {
    expect(Object.keys(renamed({ a: 1, b: 2 }, "a", "c") ?? {})).toEqual(["c", "b"]);
    expect(renamed({ a: 1, b: 2 }, "a", "b")).toBeNull();
  });
  it("says what a text must be", () => {
    const schema = { type: "string", pattern: "^[1-9]$", "x-must-be": "a digit" };
    expect([complaint(schema, "5"), complaint(schema, "x")]).toEqual([undefined, "a digit"]);
  });
  it("names members with their units", () => {
    expect([wordsOf("cut_after_ms"), wordsOf("longest_pause_seconds"), wordsOf("eagerness")]).toEqual(["Cut after (ms)", "Longest pause (s)", "Eagerness"]);
  });
});

describe("paths, as refusals have them", () => {
  it.each([
    ["business_hours_json.weekly.mon[0][1]", ["business_hours_json", "weekly", "mon", 0, 1]],
    ['idle_prompts_json["8"]', ["idle_prompts_json", "8"]],
    ['transfer_map_json["front \\"desk\\""].to', ["transfer_map_json", 'front "desk"', "to"]],
  ])("%s", (path, steps) => {
    expect(stepsOf(path)).toEqual(steps);
    expect(steps.reduce<string>(childPath, "")).toBe(path);
  });
  it("tells what lies under what", () => {
    expect([isUnder("a.b[0]", "a"), isUnder("ab", "a"), isUnder("a", "a")]).toEqual([true, false, true]);
  });
});
