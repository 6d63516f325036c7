import { ChevronRight, Wrench } from "lucide-react";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Badge, type Tone } from "@/ui/layout";

const MOST_CHARS = 2000;

/** What a tool was asked and what came back, folded until somebody wants it. */
export function ToolLine({ name, input, output, note, tone, durationMs }: { name: string; input: string; output: string; note: string; tone: Tone; durationMs: number | null | undefined }) {
  const t = useTexts("agents");
  return (
    <details className="group rounded-control border border-line bg-surface text-[13px]">
      <summary className="flex list-none items-center gap-2 px-2.5 py-1.5">
        <ChevronRight size={14} aria-hidden className="shrink-0 text-dim transition-transform group-open:rotate-90" />
        <Wrench size={13} aria-hidden className="shrink-0 text-dim" />
        <code className="min-w-0 flex-1 truncate">{name}</code>
        <Badge tone={tone}>{note}</Badge>
        {durationMs !== null && durationMs !== undefined && <span className="text-xs text-dim tabular">{t.metrics.ms(count(durationMs))}</span>}
      </summary>
      <dl className="space-y-2 border-t border-line px-3 py-2">
        {(
          [
            [t.toolInput, input],
            [t.toolOutput, output],
          ] as const
        ).map(
          ([label, text]) =>
            text && (
              <div key={label}>
                <dt className="text-xs text-dim">{label}</dt>
                <dd>
                  <pre className="overflow-x-auto font-mono text-xs whitespace-pre-wrap">{pretty(text)}</pre>
                </dd>
              </div>
            ),
        )}
      </dl>
    </details>
  );
}

/** JSON with its lines; cut where nobody reads on. */
function pretty(text: string): string {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // it is shown as it is
  }
  return shown.length > MOST_CHARS ? `${shown.slice(0, MOST_CHARS)}…` : shown;
}
