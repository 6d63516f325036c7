import { Bot, BotOff } from "lucide-react";
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Badge, Loaded, Time, type Tone } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { type Conversation, type Run, usePatch, useRuns } from "./queries";

const TONES: Record<Run["status"], Tone> = { waiting: "info", running: "info", replied: "good", silent: "plain", handed_over: "warn" };
const SHOWN_CHARS = 2000;

/** The AI in this thread: whether it answers, and what it did in each of its turns. */
export function Runs({ conversation }: { conversation: Conversation }) {
  const t = useTexts("inbox");
  const patch = usePatch();
  const query = useRuns(conversation.id);
  const isPaused = conversation.ai_paused;
  return (
    <section aria-label={t.ai} className="space-y-3">
      <div className="flex items-center justify-between gap-2">
        <h3 className="text-[13px]">{t.ai}</h3>
        <Button
          size="sm"
          icon={isPaused ? Bot : BotOff}
          needs="sms:write"
          onClick={() => patch(conversation.id, { ai_paused: !isPaused }, () => toast.done(isPaused ? t.aiResumed : t.aiPausedDone))}
        >
          {isPaused ? t.resumeAi : t.pauseAi}
        </Button>
      </div>
      <Loaded query={query}>
        {({ runs }) =>
          runs.length === 0 ? (
            <p className="text-[13px] text-dim">{t.noRuns}</p>
          ) : (
            <ol className="space-y-2">
              {runs.map((run) => (
                <RunOf key={run.id} run={run} />
              ))}
            </ol>
          )
        }
      </Loaded>
    </section>
  );
}

function RunOf({ run }: { run: Run }) {
  const t = useTexts("inbox");
  const outcome = run.outcome ? JSON.stringify(run.outcome, null, 2) : null;
  const cost = run.usage?.costs.map((each) => `${each.amount} ${each.currency}`).join(", ");
  return (
    <li className="rounded-card border border-line p-2.5 text-[13px]">
      <div className="flex items-center justify-between gap-2">
        <Badge tone={TONES[run.status]} isLive={run.status === "running" || run.status === "waiting"}>
          {t.runStates[run.status]}
        </Badge>
        <span className="text-xs text-dim">
          <Time at={run.created_at} />
        </span>
      </div>
      {run.reason && <p className="mt-1.5">{t.runReasons[run.reason] ?? run.reason}</p>}
      {run.tool_activity.map((each) => (
        <Tool key={each.id} activity={each} />
      ))}
      {outcome && <Folded label={t.outcome} text={outcome} />}
      <p className="mt-1.5 text-xs text-dim">
        {[run.model, run.input_tokens === null ? null : t.tokens(run.input_tokens, run.output_tokens ?? 0), cost].filter(Boolean).join(" · ")}
      </p>
    </li>
  );
}

function Tool({ activity }: { activity: Schemas["ToolActivity"] }) {
  const t = useTexts("inbox");
  const text = `${JSON.stringify(activity.arguments, null, 2)}\n→ ${JSON.stringify(activity.result, null, 2)}`;
  const facts = [activity.status === "ok" || activity.status === "succeeded" ? null : activity.status, activity.duration_ms === null ? null : t.ms(activity.duration_ms)];
  return <Folded label={[activity.name, ...facts].filter(Boolean).join(" · ")} text={text} />;
}

function Folded({ label, text }: { label: string; text: string }) {
  return (
    <details className="mt-1.5">
      <summary className="font-medium">{label}</summary>
      <pre className="mt-1 max-h-56 overflow-auto rounded-control bg-sunken p-2 font-mono text-xs whitespace-pre-wrap">{text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text}</pre>
    </details>
  );
}
