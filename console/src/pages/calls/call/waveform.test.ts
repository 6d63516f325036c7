import { expect, it } from "vitest";
import { NOTHING, takeIn } from "./events";
import call from "@/i18n/en/call";
import { marks } from "./waveform";
import { whyText } from "./why";

const EARLIER = { onset: null, reason: null, decided_ms: null, spoken_ms: null };
const NOWHERE = { turn_start_ms: null, turn_end_ms: null };
const CUT = { onset: "voice", reason: "kept_speaking", decided_ms: 2400, spoken_ms: 360 };

it("marks what was spoken over, what was not heard after it, and what was not recorded", () => {
  const known = takeIn(
    NOTHING,
    [
      { type: "transcript.turn", data: { seq: 1, role: "agent", text: "We are open until six.", start_ms: 1000, end_ms: 4000, interrupted: true, heard_text: "We are", item_id: "a" } },
      { type: "barge_in", data: { at_ms: 2000, heard_ms: 1300, reaction_ms: 150, verdict: "cut", turn_seq: 1, ...NOWHERE, ...CUT } },
      { type: "barge_in", data: { at_ms: 6000, heard_ms: 0, reaction_ms: 120, verdict: "resumed", turn_seq: null, ...NOWHERE, ...EARLIER } },
    ],
    "2026-11-26T10:00:00Z",
  );
  const found = marks({ recording_pauses: [{ start_ms: 8000, end_ms: 9000, cause: "keys" }] }, known);
  expect(found.map(({ id, start, end, channel }) => [id, start, end, channel])).toEqual([
    ["judged 2000", 2, 2.4, 0],
    ["over 2000", 2, 2.3, 1],
    ["unheard 2300", 2.3, 4, 1],
    ["resumed 6000", 6, 6.12, 1],
    ["pause 8000", 8, 9, null],
  ]);
  expect(found[0]?.why && whyText(call, found[0].why)).toBe("Stopped for a voice; the caller kept speaking (360 ms of voice)");
});

it("marks what was cut off in a turn that isn't here", () => {
  const known = takeIn(NOTHING, [{ type: "barge_in", data: { at_ms: 2000, heard_ms: 1300, reaction_ms: 150, verdict: "cut", turn_seq: 1, turn_start_ms: 1000, turn_end_ms: 4000, ...EARLIER } }], null);
  expect(marks({ recording_pauses: [] }, known).map(({ id, start, end }) => [id, start, end])).toEqual([
    ["over 2000", 2, 2.3],
    ["unheard 2300", 2.3, 4],
  ]);
});

it("marks what did not stop the agent", () => {
  const known = takeIn(NOTHING, [{ type: "onset.refused", data: { at_ms: 3000, until_ms: 3140, onset: "hiss", reason: "echo" } }], null);
  const [mark] = marks({ recording_pauses: [] }, known);
  expect([mark?.id, mark?.start, mark?.end, mark?.channel]).toEqual(["refused 3000", 3, 3.16, 0]);
  expect(mark?.why && whyText(call, mark.why)).toBe("Not stopped for a hiss as of an s: as loud as the agent's own echo, or a copy of it");
});
