import { describe, expect, it } from "vitest";
import { readPeaks, shownLength } from "./peaks";

function file(channels: number[][], name = "HUMP"): ArrayBuffer {
  const count = channels[0]?.length ?? 0;
  const made = new DataView(new ArrayBuffer(12 + channels.length * count));
  [...name].forEach((letter, at) => made.setUint8(at, letter.charCodeAt(0)));
  made.setUint8(4, 1);
  made.setUint8(5, channels.length);
  made.setUint16(6, 20, true);
  made.setUint32(8, count, true);
  channels.flat().forEach((peak, at) => made.setUint8(12 + at, peak));
  return made.buffer;
}

describe("a file of peaks", () => {
  it("has one list a channel, and its length", () => {
    const peaks = readPeaks(file([[0, 255, 51], [255, 0, 0]]));
    expect(peaks.channels.map((each) => [...each].map((peak) => Math.round(peak * 10) / 10))).toEqual([[0, 1, 0.2], [1, 0, 0]]);
    expect(peaks.seconds).toBeCloseTo(0.15);
  });
  it("is refused when it is something else, or cut off", () => {
    expect(() => readPeaks(file([[1]], "RIFF"))).toThrow("no peaks");
    expect(() => readPeaks(file([[1, 2], [3, 4]]).slice(0, 14))).toThrow("incomplete");
    expect(() => readPeaks(new ArrayBuffer(3))).toThrow();
  });
});

describe("the length of a recording", () => {
  it("is said as its call's, from which it differs by how both are measured", () => {
    expect(shownLength(20.04, 19)).toBe(19);
    expect(shownLength(19.98, 20)).toBe(20);
    expect(shownLength(20.02, 20)).toBe(20);
  });
  it("is its own when less of the call was recorded, or nobody knows the call's", () => {
    expect(shownLength(12.5, 20)).toBe(12.5);
    expect(shownLength(12.5, null)).toBe(12.5);
  });
});
