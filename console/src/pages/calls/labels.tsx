/** How a call's state is shown everywhere: status, outcome, length, who it was with. */
import { useCallback, useEffect, useState } from "react";
import { useTexts } from "@/i18n";
import { clockTime } from "@/lib/format";
import { partyName } from "@/lib/party";
import { Badge, type Tone } from "@/ui/layout";
import { type Call, type CallStatus, isLive } from "./queries";

const TONES: Record<CallStatus, Tone> = {
  queued: "info",
  ringing: "info",
  in_progress: "accent",
  completed: "plain",
  busy: "warn",
  no_answer: "warn",
  failed: "bad",
  canceled: "plain",
  blocked: "warn",
};

export function StatusBadge({ status }: { status: CallStatus }) {
  const t = useTexts("calls");
  return (
    <Badge tone={TONES[status]} isLive={isLive({ status }) && status !== "queued"}>
      {t.statuses[status]}
    </Badge>
  );
}

/** Seconds from answer to end; they go on while the call is live. */
export function Duration({ call }: { call: Pick<Call, "status" | "answered_at" | "duration_seconds"> }) {
  const isTicking = call.status === "in_progress" && Boolean(call.answered_at);
  const now = useNow(isTicking);
  if (isTicking && call.answered_at) return <span className="tabular">{clockTime((now - new Date(call.answered_at).getTime()) / 1000)}</span>;
  if (call.duration_seconds === null) return <span className="text-dim">–</span>;
  return <span className="tabular">{clockTime(call.duration_seconds)}</span>;
}

/** The time, once a second while something ticks. */
export function useNow(isTicking: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isTicking) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isTicking]);
  return now;
}

/** The name of the other party, or their number, as one line of text. */
export function usePartyName(): (call: Pick<Call, "direction" | "from" | "to" | "contact">) => string {
  const t = useTexts("calls");
  return useCallback((call) => partyName(call, t), [t]);
}
