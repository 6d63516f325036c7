import { useTexts } from "@/i18n";
import { Badge, type Tone } from "@/ui/layout";
import type { Connector, Log } from "./queries";

const TONES: Record<Connector["status"], Tone> = { ok: "good", failing: "warn", resting: "bad" };
const OUTCOMES: Record<Log["outcome"], Tone> = { ok: "good", not_found: "plain", failed: "bad" };

export function StatusBadge({ of }: { of: Connector }) {
  const t = useTexts("crm");
  if (!of.enabled) return <Badge>{t.off}</Badge>;
  return <Badge tone={TONES[of.status]}>{t.statuses[of.status]}</Badge>;
}

export function OutcomeBadge({ of }: { of: Log["outcome"] }) {
  const t = useTexts("crm");
  return <Badge tone={OUTCOMES[of]}>{t.outcomes[of]}</Badge>;
}
