import { describe, expect, it } from "vitest";
import { gridOf, levelOf } from "./heat";

const at = (weekday: number, hour: number, calls: number) => ({ weekday, hour, calls, answered: calls, talk_seconds: 0 });

describe("the week's hours", () => {
  it("begin on Monday at midnight, and have nothing where nobody called", () => {
    const grid = gridOf([at(1, 0, 3), at(7, 23, 5), at(9, 1, 7), at(1, 24, 7)]);
    expect([grid.length, grid[0]?.length, grid[0]?.[0], grid[6]?.[23], grid.flat().reduce((sum, each) => sum + each, 0)]).toEqual([7, 24, 3, 5, 8]);
  });
  it("have five levels", () => expect([0, 1, 20, 21, 100].map((calls) => levelOf(calls, 100))).toEqual([0, 1, 1, 2, 5]));
});
