/** How an approval is shown everywhere: its state, its time, where it came from. */
import { Link } from "@tanstack/react-router";
import { MessageSquare, PhoneCall, Zap } from "lucide-react";
import { api, data } from "@/api/client";
import { useFlowName } from "@/api/flows";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { clockTime, isE164, phone, relativeTime } from "@/lib/format";
import { useNow } from "@/pages/calls/labels";
import { Badge, type Tone } from "@/ui/layout";
import type { Approval } from "./queries";

const TONES: Record<Approval["state"], Tone> = { pending: "warn", approved: "info", done: "good", failed: "bad", denied: "plain", expired: "plain", void: "plain" };

export function StateBadge({ state }: { state: Approval["state"] }) {
  const t = useTexts("approvals");
  return (
    <Badge tone={TONES[state]} isLive={state === "pending" || state === "approved"}>
      {t.states[state]}
    </Badge>
  );
}

const SOON_SECONDS = 30;
const HOUR_SECONDS = 3600;

/** How long somebody may decide; in words when that is hours. */
export function TimeLeft({ until }: { until: string }) {
  const t = useTexts("approvals");
  const now = useNow(true);
  const seconds = Math.max(0, (new Date(until).getTime() - now) / 1000);
  const text = seconds === 0 ? t.timeUp : seconds > HOUR_SECONDS ? t.endsIn(relativeTime(until, now)) : t.timeLeft(clockTime(seconds));
  return <span className={`tabular text-[13px] whitespace-nowrap ${seconds < SOON_SECONDS ? "font-medium text-bad" : "text-dim"}`}>{text}</span>;
}

/** With whom the agent speaks. */
function CallerOf({ id }: { id: string }) {
  const call = useThing(["calls", id, "caller"], (signal) => data(api.GET("/api/calls/{id}", { params: { path: { id } }, signal })), { enabled: useCan("calls:read") }).data;
  return call && <Person name={call.contact?.name} number={call.direction === "outbound" ? call.to : call.from} />;
}

/** With whom the agent writes. */
function WriterOf({ id }: { id: string }) {
  const thread = useThing(["conversations", id, "writer"], (signal) => data(api.GET("/api/sms/conversations/{id}", { params: { path: { id } }, signal })), { enabled: useCan("sms:read") }).data;
  return thread && <Person name={thread.contact?.name} number={thread.contact_e164} />;
}

function Person({ name, number }: { name: string | null | undefined; number: string | null | undefined }) {
  const shown = number && isE164(number) ? phone(number) : number;
  return (
    <span className="font-medium text-ink tabular">
      {[name, shown].filter(Boolean).join(" · ")}
    </span>
  );
}

/** The call, the conversation or the run for an event in which it was asked for, and the agent. */
export function Origin({ approval }: { approval: Approval }) {
  const t = useTexts("approvals");
  const agent = useFlowName()(approval.flow_id);
  return (
    <span className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-[13px] text-dim">
      {agent && <span className="truncate">{agent}</span>}
      {approval.call_id && <CallerOf id={approval.call_id} />}
      {approval.conversation_id && <WriterOf id={approval.conversation_id} />}
      {approval.call_id && (
        <Link to="/calls/$id" params={{ id: approval.call_id }} className="inline-flex items-center gap-1 text-accent hover:underline">
          <PhoneCall size={13} aria-hidden />
          {t.toCall}
        </Link>
      )}
      {approval.conversation_id && (
        <Link to="/inbox/$id" params={{ id: approval.conversation_id }} className="inline-flex items-center gap-1 text-accent hover:underline">
          <MessageSquare size={13} aria-hidden />
          {t.toConversation}
        </Link>
      )}
      {approval.run_id && approval.flow_id && (
        <Link to="/agents/$id" params={{ id: approval.flow_id }} search={{ tab: "runs", run: approval.run_id }} className="inline-flex items-center gap-1 text-accent hover:underline">
          <Zap size={13} aria-hidden />
          {t.toRun}
        </Link>
      )}
    </span>
  );
}

/** Who decided, and why. */
export function Decision({ approval }: { approval: Approval }) {
  const t = useTexts("approvals");
  if (approval.state === "pending") return null;
  const outcome = t.outcomes[approval.state];
  const parts = [approval.decided_by ? `${outcome} ${t.by(approval.decided_by)}` : outcome, approval.edited ? t.edited : null, approval.reason].filter(Boolean);
  return <span className="text-[13px] text-dim">{parts.join(" · ")}</span>;
}
