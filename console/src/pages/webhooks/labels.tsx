/** How webhooks and deliveries are shown everywhere. */
import { useTexts } from "@/i18n";
import { Badge, type Tone } from "@/ui/layout";
import type { Delivery, DeliveryState, Webhook } from "./queries";

const STATUS_TONES: Record<Webhook["status"], Tone> = { ok: "good", failing: "warn", disabled: "plain" };

export function StatusBadge({ of }: { of: Webhook }) {
  const t = useTexts("webhooks");
  if (of.status === "ok" && !of.last_delivered_at) return <Badge>{t.sentNothing}</Badge>;
  const tone = of.status === "disabled" && of.disabled_reason !== "person" ? "bad" : STATUS_TONES[of.status];
  return <Badge tone={tone}>{t.statuses[of.status]}</Badge>;
}

const STATE_TONES: Record<DeliveryState, Tone> = { pending: "info", delivered: "good", failed: "bad", missed: "warn", canceled: "plain" };

export function StateBadge({ state }: { state: DeliveryState }) {
  const t = useTexts("webhooks");
  return (
    <Badge tone={STATE_TONES[state]} isLive={state === "pending"}>
      {t.states[state]}
    </Badge>
  );
}

/** What the receiver answered, or why there was nothing. */
export function Answer({ of }: { of: Pick<Delivery, "response_status" | "error"> }) {
  const t = useTexts("webhooks");
  if (of.response_status !== null) return <span className={`tabular font-mono text-xs ${of.error ? "text-bad" : "text-good"}`}>{of.response_status}</span>;
  if (of.error) return <span className="text-xs text-bad">{t.errors[of.error] ?? of.error}</span>;
  return <span className="text-dim">–</span>;
}

/** `sms.*, call.completed`; all of them by name. */
export function useEventWords(): (events: readonly string[]) => string {
  const t = useTexts("webhooks");
  return (events) => (events.length === 0 || events.includes("*") ? t.allEvents : events.join(", "));
}
