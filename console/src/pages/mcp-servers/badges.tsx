import { useTexts } from "@/i18n";
import { Badge, type Tone } from "@/ui/layout";
import type { McpTool, Server } from "./queries";

const TONES: Record<Server["status"], Tone> = { new: "info", ok: "good", failing: "bad" };
const STATES: Record<McpTool["state"], Tone> = { accepted: "good", new: "info", changed: "warn", gone: "plain", invalid: "bad" };

export function StatusBadge({ of }: { of: Server }) {
  const t = useTexts("mcpServers");
  if (!of.enabled) return <Badge>{t.off}</Badge>;
  return <Badge tone={TONES[of.status]}>{t.statuses[of.status]}</Badge>;
}

export function StateBadge({ of }: { of: McpTool["state"] }) {
  const t = useTexts("mcpServers");
  return <Badge tone={STATES[of]}>{t.states[of]}</Badge>;
}
