import { describe, expect, it } from "vitest";
import { readPeaks } from "./peaks";

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
