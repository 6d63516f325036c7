import { expect, it } from "vitest";
import { framesOf } from "./listen";

it("reads both channels, and keeps a frame that is cut for the next piece", () => {
  const bytes = new Uint8Array([0, 64, 0, 192, 255, 127, 0, 128, 7]);
  const { left, right, rest } = framesOf(bytes);
  expect([...left].map((each) => Math.round(each * 100) / 100)).toEqual([0.5, 1]);
  expect([...right]).toEqual([-0.5, -1]);
  expect([...rest]).toEqual([7]);
});

it("reads from within a larger buffer", () => {
  const whole = new Uint8Array([9, 9, 9, 0, 64, 0, 64]);
  expect([...framesOf(whole.subarray(3)).left]).toEqual([0.5]);
});
