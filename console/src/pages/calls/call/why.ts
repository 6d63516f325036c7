/** Why the agent stopped for the caller, and why it stayed silent or went on. */
import type { Schemas } from "@/api/client";
import type { useTexts } from "@/i18n";

export type Why = Pick<Schemas["Interruption"], "onset" | "reason" | "spoken_ms">;

/** A sound that did not stop the agent, and why not. */
export interface Refused {
  onset: string;
  refusal: string;
}

/** In words; none for a call of an earlier release. */
export function whyText(t: ReturnType<typeof useTexts<"call">>, why: Why | Refused): string {
  if ("refusal" in why) return t.notStopped(t.onsets[why.onset] ?? why.onset, t.refusals[why.refusal] ?? why.refusal);
  if (why.onset === null || why.reason === null) return "";
  return t.why(t.onsets[why.onset] ?? why.onset, t.reasons[why.reason] ?? why.reason, why.spoken_ms ?? 0);
}
