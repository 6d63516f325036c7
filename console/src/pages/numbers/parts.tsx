/** What the pages of numbers share. */
import { useAllFlows } from "@/api/flows";
import { useTexts } from "@/i18n";
import type { Choice } from "@/ui/field";
import { Badge } from "@/ui/layout";
import type { PhoneNumber } from "./queries";

export function Capabilities({ of }: { of: PhoneNumber["capabilities"] }) {
  const t = useTexts("numbers");
  return (
    <span className="inline-flex flex-wrap gap-1">
      {of.voice && <Badge>{t.voiceCap}</Badge>}
      {of.sms && <Badge>{t.smsCap}</Badge>}
      {of.mms && <Badge>{t.mmsCap}</Badge>}
    </span>
  );
}

export function StatusBadge({ status }: { status: PhoneNumber["status"] }) {
  const t = useTexts("numbers");
  return <Badge tone={status === "active" ? "good" : status === "gone" ? "bad" : "warn"}>{t.statuses[status]}</Badge>;
}

/** Agents of a channel to choose from, with "none" first. The one that is chosen stays in the list even if it isn't known. */
export function useAgentChoices(channel: "voice" | "sms", chosen: string): Choice[] {
  const t = useTexts("numbers");
  const { data: agents, isPending } = useAllFlows();
  const choices = (agents ?? []).filter((each) => each.channel === channel).map((each) => ({ value: each.id, label: each.name }));
  if (chosen && !choices.some((each) => each.value === chosen)) choices.push({ value: chosen, label: isPending ? "…" : t.unknownAgent });
  return [{ value: "", label: channel === "voice" ? t.noVoiceAgent : t.noSmsAgent }, ...choices];
}

/** An agent's name by its id. */
export function useAgentName(): (id: string) => string {
  const t = useTexts("numbers");
  const agents = useAllFlows();
  return (id) => agents.data?.find((each) => each.id === id)?.name ?? (agents.isPending ? "…" : t.unknownAgent);
}
