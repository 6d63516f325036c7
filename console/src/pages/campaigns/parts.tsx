import { useTexts } from "@/i18n";
import { percent } from "@/lib/format";
import { Badge, type Tone } from "@/ui/layout";
import { type Campaign, progressOf } from "./queries";

const TONES: Record<Campaign["status"], Tone> = { draft: "plain", queued: "info", running: "info", paused: "warn", completed: "good", canceled: "plain", failed: "bad" };

export function StatusBadge({ status }: { status: Campaign["status"] }) {
  const t = useTexts("campaigns");
  return (
    <Badge tone={TONES[status]} isLive={status === "running"}>
      {t.statuses[status]}
    </Badge>
  );
}

/** Sent, failed and left out of all, as one bar; the words are beside it. */
export function ProgressBar({ counts, isTall = false }: { counts: Campaign["counts"]; isTall?: boolean }) {
  const t = useTexts("campaigns");
  const { done, good, bad } = progressOf(counts);
  return (
    <span className="flex items-center gap-2">
      <span role="progressbar" aria-label={t.progress} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.floor(done * 100)} className={`flex min-w-0 flex-1 overflow-hidden rounded-full bg-sunken ${isTall ? "h-2.5" : "h-1.5"}`}>
        <span className="bg-accent transition-[width]" style={{ width: `${good * 100}%` }} />
        <span className="bg-bad transition-[width]" style={{ width: `${bad * 100}%` }} />
        <span className="bg-line-strong transition-[width]" style={{ width: `${(done - good - bad) * 100}%` }} />
      </span>
      <span className="tabular w-10 shrink-0 text-right text-[13px]">{percent(Math.floor(done * 100) / 100)}</span>
    </span>
  );
}
