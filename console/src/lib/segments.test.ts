import { describe, expect, it } from "vitest";
import { segmentsOf } from "./segments";

const EMOJI = "\u{1F600}";

describe("segments, by the figures of the carriers' calculator", () => {
  it.each([
    ["", 1],
    ["a".repeat(160), 1],
    ["a".repeat(161), 2],
    ["a".repeat(306), 2],
    ["a".repeat(307), 3],
    ["a".repeat(1600), 11],
    ["€".repeat(80), 1],
    ["€".repeat(81), 2],
    ["€".repeat(152), 2],
    ["€".repeat(153), 3],
    [`${"a".repeat(152)}€${"a".repeat(152)}`, 3],
    [`${"a".repeat(152)}€${"a".repeat(151)}`, 2],
    ["ж".repeat(70), 1],
    ["ж".repeat(71), 2],
    ["ж".repeat(1600), 24],
    [EMOJI.repeat(35), 1],
    [EMOJI.repeat(36), 2],
    [EMOJI.repeat(66), 2],
    [EMOJI.repeat(67), 3],
    [`${"a".repeat(70)}\``, 2],
    ["a\r\n".repeat(53), 1],
  ])("%#", (body, count) => expect(segmentsOf(body).segments).toBe(count));

  it("names what makes a text dear", () => {
    expect(segmentsOf("It’s ten o’clock.")).toMatchObject({ encoding: "ucs_2", unusual: ["’"], room: 70 });
    expect(segmentsOf("It's ten o'clock.")).toMatchObject({ encoding: "gsm_7", unusual: [], used: 17 });
  });
});
