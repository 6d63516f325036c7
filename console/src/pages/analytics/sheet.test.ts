import { describe, expect, it } from "vitest";
import { callSheet } from "./sheet";

const NONE = { inbound: 0, outbound: 0, talk_seconds: 0, average_seconds: null, interruptions: 0, first_sound_p50_ms: null, first_sound_p95_ms: null, first_answer_p50_ms: null, first_answer_p95_ms: null, ours_p95_ms: null, model_p95_ms: null };
const few = (calls: number) => ({ calls, answered: 1, talk_seconds: 60 });

describe("the table of calls", () => {
  const sheet = callSheet(
    {
      time_zone: "UTC",
      totals: { ...NONE, calls: 3, answered: 2 },
      days: [{ date: "2026-11-26", figures: { ...NONE, calls: 3, answered: 2 } }],
      hours: [{ weekday: 4, hour: 9, ...few(3) }],
      flows: [{ flow_id: "flow_1", ...few(2) }, { flow_id: null, ...few(1) }],
      outcomes: [{ name: "booked", ...few(1) }, { name: null, ...few(2) }],
      tags: [{ name: "vip, private", ...few(2) }, { name: "=urgent", ...few(1) }],
      statuses: [{ name: "completed", ...few(3) }],
    },
    (flow) => (flow === null ? "No agent" : "Reception"),
  );
  it.each([
    "of,name,calls,inbound,outbound,answered,talk_seconds,average_seconds,interruptions,first_sound_p50_ms,first_sound_p95_ms,first_answer_p50_ms,first_answer_p95_ms,ours_p95_ms,model_p95_ms",
    "total,,3,0,0,2,0,,0,,,,,,",
    "day,2026-11-26,3,0,0,2,0,,0,,,,,,",
    "hour,4 09:00,3,,,1,60,,,,,,,,",
    "agent,Reception,2,,,1,60,,,,,,,,",
    "agent,No agent,1,,,1,60,,,,,,,,",
    "outcome,booked,1,,,1,60,,,,,,,,",
    "outcome,,2,,,1,60,,,,,,,,",
    'tag,"vip, private",2,,,1,60,,,,,,,,',
    "tag,'=urgent,1,,,1,60,,,,,,,,",
    "status,completed,3,,,1,60,,,,,,,,",
  ])("has %s", (line) => expect(sheet.split("\r\n")).toContain(line));
});
