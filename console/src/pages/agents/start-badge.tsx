import { MessageSquare, Phone, PhoneOutgoing, Zap } from "lucide-react";
import { useTexts } from "@/i18n";
import { type Flow, startOf } from "./flow";

/** What starts an agent, in one word and a picture. */
export function StartBadge({ flow }: { flow: Pick<Flow, "channel" | "trigger_type" | "kind"> }) {
  const t = useTexts("agents");
  const start = startOf(flow);
  const isOutbound = start === "call" && flow.kind === "outbound";
  const Icon = isOutbound ? PhoneOutgoing : { call: Phone, message: MessageSquare, event: Zap }[start];
  return (
    <span className="flex items-center gap-1.5">
      <Icon size={14} aria-hidden className="text-dim" />
      {isOutbound ? t.outboundCalls : t.starts[start]}
    </span>
  );
}
