import { expect, test } from "vitest";
import { wholePercents } from "./shares";

test("shares of a whole add up to 100", () => {
  expect(wholePercents([1, 1, 1], 3)).toEqual([34, 33, 33]);
  expect(wholePercents([7, 3, 2, 3, 1], 16)).toEqual([44, 19, 12, 19, 6]);
  expect(wholePercents([0, 4], 4)).toEqual([0, 100]);
});

test("half percents don't make 101", () => {
  const shares = wholePercents([5, 195], 200);
  expect(shares).toEqual([3, 97]);
});

test("groups that overlap are each rounded by themselves", () => {
  expect(wholePercents([2, 2], 3)).toEqual([67, 67]);
});

test("of nothing, each share is nothing", () => {
  expect(wholePercents([0, 0], 0)).toEqual([0, 0]);
  expect(wholePercents([], 0)).toEqual([]);
});
