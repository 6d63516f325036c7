/** A call's transcript as its events come: pieces of a sentence, then the sentence as it was heard. */
import type { Schemas } from "@/api/client";

export interface Line {
  key: string;
  role: Schemas["Speaker"];
  text: string;
  startMs: number;
  /** Whether it was said to its end, or cut: nothing is added any more. */
  isFinal: boolean;
  isCut: boolean;
}

export type Transcript = readonly Line[];

/** A piece of an utterance; one that comes after its turn is dropped. */
export function withDelta(lines: Transcript, delta: Schemas["TranscriptDelta"]): Transcript {
  const at = lines.findIndex((each) => each.key === delta.item_id);
  const known = lines[at];
  if (!known) return inOrder([...lines, { key: delta.item_id, role: delta.role, text: delta.text, startMs: delta.start_ms, isFinal: false, isCut: false }]);
  if (known.isFinal) return lines;
  return lines.with(at, { ...known, text: known.text + delta.text });
}

/** An utterance as it was heard. */
export function withTurn(lines: Transcript, turn: Schemas["Turn"]): Transcript {
  const key = turn.item_id ?? `turn ${turn.seq}`;
  const isCut = turn.interrupted && turn.heard_text !== null;
  const line: Line = { key, role: turn.role, text: isCut ? `${turn.heard_text} …` : turn.text, startMs: turn.start_ms, isFinal: true, isCut };
  const at = lines.findIndex((each) => each.key === key);
  return inOrder(at < 0 ? [...lines, line] : lines.with(at, line));
}

/** What never became a turn wasn't heard. */
export function withoutUnsaid(lines: Transcript): Transcript {
  return lines.filter((each) => each.isFinal);
}

function inOrder(lines: Line[]): Line[] {
  return lines.toSorted((a, b) => a.startMs - b.startMs);
}

/** Who speaks, by what both sides' microphones and loudspeakers carry. */
export function floorOf(callerLevel: number, agentLevel: number): "caller" | "agent" | "both" | "nobody" {
  const [caller, agent] = [callerLevel > SPEECH_LEVEL, agentLevel > SPEECH_LEVEL];
  if (caller && agent) return "both";
  return caller ? "caller" : agent ? "agent" : "nobody";
}

const SPEECH_LEVEL = 0.02;

/** A level from samples around 0, as the root of their mean square. */
export function levelOf(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < samples.length; at += 1) sum += (samples[at] ?? 0) ** 2;
  return samples.length > 0 ? Math.sqrt(sum / samples.length) : 0;
}
