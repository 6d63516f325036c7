/** What a call was about: summary, outcome, tags, notes. */
import { X } from "lucide-react";
import { type ReactNode, Suspense, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { UNTAKEN } from "@/lib/party";
import { Badge, Facts, Time } from "@/ui/layout";
import { part } from "@/ui/part";
import { toast } from "@/ui/toast";
import { type CallDetail, isLive } from "../queries";
import { Notes } from "./notes";

const Untaken = part(() => import("./untaken"));

export function Overview({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const { remove } = useTags(call);
  return (
    <div className="divide-y divide-line">
      {call.tags.includes(UNTAKEN) && (
        <Suspense>
          <Untaken onDone={() => remove(UNTAKEN)} />
        </Suspense>
      )}
      <Part title={t.summary}>
        <Summary call={call} />
      </Part>
      {(call.outcome !== null || call.outcome_label) && (
        <Part title={t.outcome}>
          <Outcome call={call} />
        </Part>
      )}
      <Part title={t.tags}>
        <Tags call={call} />
      </Part>
      <Part title={t.notes}>
        <Notes call={call} />
      </Part>
      {call.voicemail && (
        <Part title={t.voicemail}>
          <p className="text-dim">{call.voicemail.transcript || t.noTranscript}</p>
        </Part>
      )}
    </div>
  );
}

export function Part({ title, children, actions }: { title: string; children: ReactNode; actions?: ReactNode }) {
  return (
    <section className="px-4 py-3.5" aria-label={title}>
      <div className="mb-1.5 flex items-center justify-between">
        <h2 className="text-xs font-semibold tracking-wide text-dim uppercase">{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}

export function Summary({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  if (!call.summary) return <p className="text-dim">{isLive(call) ? t.summaryLater : t.noSummary}</p>;
  const { text, key_points: points, next_actions: next } = call.summary;
  return (
    <div className="space-y-2.5">
      <p>{text}</p>
      <Bullets title={t.keyPoints} items={points} />
      <Bullets title={t.nextActions} items={next} />
    </div>
  );
}

function Bullets({ title, items }: { title: string; items: readonly string[] }) {
  if (items.length === 0) return null;
  return (
    <div>
      <h3 className="text-[13px] font-medium">{title}</h3>
      <ul className="mt-0.5 list-disc space-y-0.5 pl-4.5 marker:text-dim">
        {items.map((item, at) => (
          <li key={at}>{item}</li>
        ))}
      </ul>
    </div>
  );
}

/** As facts: the agent's outcome has the fields of the flow's own schema. */
export function Outcome({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const { outcome } = call;
  const label = call.outcome_label;
  const fields = typeof outcome === "object" && outcome !== null && !Array.isArray(outcome) ? Object.entries(outcome).filter(([name, value]) => !(name === "label" && value === label)) : [];
  return (
    <div className="space-y-2">
      {label && <Badge tone="accent">{label}</Badge>}
      {fields.length > 0 && <Facts items={fields.map(([name, value]) => [readable(name), shown(value, t)] as const)} />}
      {fields.length === 0 && typeof outcome !== "object" && <p>{shown(outcome, t)}</p>}
    </div>
  );
}

/** `appointment_at` as `Appointment at`. */
function readable(name: string): string {
  const words = name.replace(/_/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function shown(value: unknown, t: { yes: string; no: string }): ReactNode {
  if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value)) return <Time at={value} />;
  if (typeof value === "boolean") return value ? t.yes : t.no;
  if (value === null || value === undefined || typeof value !== "object") return value === null || value === undefined ? null : String(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.join(", ");
  return <code className="font-mono text-xs">{JSON.stringify(value)}</code>;
}

/** Shown at once; taken back when the server refuses. */
function Tags({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const mayWrite = useCan("calls:write");
  const [text, setText] = useState("");
  const { add, remove } = useTags(call);
  return (
    <div className="flex flex-wrap items-center gap-1.5">
      {call.tags.map((tag) => (
        <span key={tag} className="inline-flex h-6 max-w-full items-center gap-1 rounded-full bg-sunken pr-1 pl-2.5 text-[13px]">
          <span className="truncate">{tag}</span>
          {mayWrite && (
            <button type="button" aria-label={t.removeTag(tag)} className="rounded-full p-0.5 text-dim hover:bg-hover hover:text-ink" onClick={() => remove(tag)}>
              <X size={12} aria-hidden />
            </button>
          )}
        </span>
      ))}
      {mayWrite && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const tag = text.trim();
            if (tag && !call.tags.includes(tag)) add(tag);
            setText("");
          }}
        >
          <input aria-label={t.addTag} placeholder={t.addTag} value={text} maxLength={60} onChange={(event) => setText(event.target.value)} className="h-6 w-28 rounded-full border border-line bg-transparent px-2.5 text-[13px] hover:border-line-strong max-md:h-9 max-md:text-base" />
        </form>
      )}
      {!mayWrite && call.tags.length === 0 && <span className="text-dim">–</span>}
    </div>
  );
}

function useTags(call: CallDetail): { add: (tag: string) => void; remove: (tag: string) => void } {
  const t = useTexts("call");
  const attempt = useAttempt();
  const show = (tags: string[]): void => void queryClient.setQueryData<CallDetail>(["calls", call.id], (old) => old && { ...old, tags });
  const refresh = [["calls", "list"], ["dashboard"]];
  const failed = (): boolean => {
    void queryClient.invalidateQueries({ queryKey: ["calls", call.id] });
    return false;
  };
  const add = useChange(
    (tag: string) => data(api.POST("/api/calls/{call_id}/tags", { body: { tag }, params: { path: { call_id: call.id }, header: { "Idempotency-Key": attempt.key([tag, call.tags]) } } })) as Promise<Schemas["AddCallTag"]>,
    refresh,
    {
      onDone: ({ tags }) => {
        attempt.done(); // put back after it was removed, it is another request
        show(tags);
      },
      onError: failed,
    },
  );
  const remove = useChange((tag: string) => api.DELETE("/api/calls/{call_id}/tags/{tag}", { params: { path: { call_id: call.id, tag } } }), refresh, {
    onDone: (_, tag) => toast.done(t.tagRemoved(tag), { label: t.undo, run: () => add.mutate(tag) }),
    onError: failed,
  });
  return {
    add: (tag) => {
      show([...call.tags, tag]);
      add.mutate(tag);
    },
    remove: (tag) => {
      show(call.tags.filter((each) => each !== tag));
      remove.mutate(tag);
    },
  };
}
