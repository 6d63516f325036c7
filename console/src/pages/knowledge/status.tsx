import { useTexts } from "@/i18n";
import { Badge, type Tone } from "@/ui/layout";
import type { Document } from "./queries";

const TONES: Record<Document["status"], Tone> = { pending: "info", ready: "good", failed: "bad" };

export function StatusBadge({ status }: { status: Document["status"] }) {
  const t = useTexts("knowledge");
  return (
    <Badge tone={TONES[status]} isLive={status === "pending"}>
      {t.statuses[status]}
    </Badge>
  );
}
