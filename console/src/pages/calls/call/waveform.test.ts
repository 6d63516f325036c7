import { expect, it } from "vitest";
import { NOTHING, takeIn } from "./events";
import { marks } from "./waveform";

const NOWHERE = { turn_start_ms: null, turn_end_ms: null };

it("marks what was spoken over, what was not heard after it, and what was not recorded", () => {
  const known = takeIn(
    NOTHING,
    [
      { type: "transcript.turn", data: { seq: 1, role: "agent", text: "We are open until six.", start_ms: 1000, end_ms: 4000, interrupted: true, heard_text: "We are", item_id: "a" } },
      { type: "barge_in", data: { at_ms: 2000, heard_ms: 1300, reaction_ms: 150, verdict: "cut", turn_seq: 1, ...NOWHERE } },
      { type: "barge_in", data: { at_ms: 6000, heard_ms: 0, reaction_ms: 120, verdict: "resumed", turn_seq: null, ...NOWHERE } },
    ],
    "2026-11-26T10:00:00Z",
  );
  const found = marks({ recording_pauses: [{ start_ms: 8000, end_ms: 9000, cause: "keys" }] }, known);
  expect(found.map(({ id, start, end, channelIdx }) => [id, start, end, channelIdx])).toEqual([
    ["over 2000", 2, 2.3, 1],
    ["unheard 2300", 2.3, 4, 1],
    ["resumed 6000", 6, 6.12, 1],
    ["pause 8000", 8, 9, -1],
  ]);
});

it("marks what was cut off in a turn that isn't here", () => {
  const known = takeIn(NOTHING, [{ type: "barge_in", data: { at_ms: 2000, heard_ms: 1300, reaction_ms: 150, verdict: "cut", turn_seq: 1, turn_start_ms: 1000, turn_end_ms: 4000 } }], null);
  expect(marks({ recording_pauses: [] }, known).map(({ id, start, end }) => [id, start, end])).toEqual([
    ["over 2000", 2, 2.3],
    ["unheard 2300", 2.3, 4],
  ]);
});
