import { describe, expect, it } from "vitest";
import { MOST_LINES, linesOf, parsedOrText } from "./json-lines";

const shown = (value: unknown, folded: string[] = [], most = 1000): string => {
  const { lines, isCut } = linesOf(value, (path) => folded.includes(path), most);
  return lines.map((line) => `${" ".repeat(line.depth)}${line.name === undefined ? "" : `${line.name}: `}${line.text}${line.kind === "open" && line.folded === undefined ? "" : line.isLast ? "" : ","}`).join("\n") + (isCut ? " CUT" : "");
};

describe("JSON as lines", () => {
  it("shows members and elements in their order", () => expect(shown({ b: [1, "x", null], a: {} })).toBe('{\n b: [\n  1,\n  "x",\n  null\n ],\n a: {}\n}'));
  it("folds what is folded", () => expect(shown({ a: { b: 1 }, c: [2] }, ["/a"])).toBe("{\n a: {…},\n c: [\n  2\n ]\n}"));
  it("tells how much is folded", () => expect(linesOf([1, 2, 3], () => true).lines[0]?.folded).toBe(3));
  it("tells names apart that hold a slash", () => expect(new Set(linesOf({ "a/b": 1, a: { b: 2 } }, () => false).lines.map((line) => line.path)).size).toBe(4));
  it("cuts a long text", () => expect(shown("x".repeat(50), [], 10)).toBe('"xxxxxxxxx… CUT'));
  it("cuts between lines", () => expect(shown([1, 2, 3, 4], [], 8)).toBe("[\n 1,\n 2,\n 3, CUT"));
  it("is whole at just its length", () => expect(shown("abc", [], 5)).toBe('"abc"'));
  it("never makes more lines than a browser takes", () => {
    const { lines, isCut } = linesOf(Array.from({ length: MOST_LINES * 2 }, () => 1), () => false, Infinity);
    expect([lines.length, isCut]).toEqual([MOST_LINES, true]);
  });
  it("reads what is JSON, and leaves what isn't", () => expect([parsedOrText('{"a":1}'), parsedOrText("<a>")]).toEqual([{ a: 1 }, "<a>"]));
});
