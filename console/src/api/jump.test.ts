import { describe, expect, it } from "vitest";
import { pageOf } from "./jump";
import { listOptions } from "./queries";

describe("a list that is held in part", () => {
  const { getNextPageParam, getPreviousPageParam } = listOptions(["things"], () => Promise.reject(new Error("not asked")), (page: { rows: number[]; next_cursor: string | null }) => page.rows, {});
  const rows = Array.from({ length: 100 }, (_, at) => at);
  const cursors = ["", "a", "b", "c"];
  for (const [at, cursor] of cursors.entries()) getNextPageParam({ rows, next_cursor: cursors[at + 1] ?? null }, [], cursor, []);

  it.each([
    [0, ""],
    [99, ""],
    [100, "a"],
    [250, "b"],
    [399, "c"],
  ])("has row %d on the page %j", (row, cursor) => expect(pageOf(row, "c")).toBe(cursor));
  it("goes on in both ways from a page that was jumped to", () => {
    const page = { rows, next_cursor: "b" };
    expect([getPreviousPageParam?.(page, [], "a", []), getNextPageParam(page, [], "a", [])]).toEqual(["", "b"]);
    expect(getPreviousPageParam?.(page, [], "", [])).toBeUndefined();
  });
});
