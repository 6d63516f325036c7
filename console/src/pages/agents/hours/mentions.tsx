import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";

/** Hours that instructions say besides the business hours: callers hear these too, also after the business hours have changed. */
export function HoursMentions({ mentions }: { mentions: readonly Schemas["HoursMention"][] }) {
  const t = useTexts("agentForm").hours;
  if (mentions.length === 0) return null;
  const differ = mentions.filter((each) => !each.is_same);
  const said = (differ.length > 0 ? differ : mentions).map((each) => each.text);
  return (
    <p role="status" className="rounded-control bg-warn-soft px-3 py-2 text-[13px]">
      <strong className="font-medium">{differ.length > 0 ? t.saidOtherwise(said.join("; ")) : t.saidTwice(said.join("; "))}</strong> {t.saidHint}
    </p>
  );
}
