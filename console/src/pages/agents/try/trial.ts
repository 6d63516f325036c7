/** A dialogue that is tried: what was said, and how one goes on from any of it. */
import type { Schemas } from "@/api/client";

export type ToolCall = Schemas["TrialToolCall"];

export interface TrialTurn {
  speaker: "caller" | "agent";
  text: string;
  toolCalls: readonly ToolCall[];
  /** The tool with which the agent's part ended. */
  endedBy?: string | null;
  /** What the model was told; empty for a greeting, which is said as it stands. */
  instructions?: string;
}

const MOST_TURNS = 60;

/** The turns as the API takes them; the oldest are left out where there are too many. */
export function asked(turns: readonly TrialTurn[]): Schemas["TrialTurnInput"][] {
  return turns.slice(-MOST_TURNS).map((each) => ({ speaker: each.speaker, text: each.text, ...(each.toolCalls.length > 0 ? { tool_calls: [...each.toolCalls] } : {}) }));
}

export function answered(turns: readonly TrialTurn[], answer: Schemas["TryFlow"]): TrialTurn[] {
  return [...turns, { speaker: "agent", text: answer.text, toolCalls: answer.tool_calls, endedBy: answer.ended_by, instructions: answer.instructions }];
}

/** The dialogue up to a turn of the caller's, with that turn changed. */
export function editedAt(turns: readonly TrialTurn[], at: number, text: string): TrialTurn[] {
  return [...turns.slice(0, at), { speaker: "caller", text, toolCalls: [] }];
}

/** The dialogue up to before an answer of the agent's, to hear another one. */
export function before(turns: readonly TrialTurn[], at: number): TrialTurn[] {
  return turns.slice(0, at);
}

export function isOver(turns: readonly TrialTurn[]): boolean {
  return Boolean(turns.at(-1)?.endedBy);
}
