import { MessageSquare, Pencil, RefreshCw, RotateCcw, Send } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useAct } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { asApiError } from "@/api/queries";
import { completed } from "@/api/phones";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button, IconButton } from "@/ui/button";
import { Switch, TextArea, TextField } from "@/ui/field";
import { Card, Empty, Failure } from "@/ui/layout";
import { reasonAt } from "@/ui/schema-form/path";
import { useEditing } from "../edit/editing";
import { startOf } from "../flow";
import { ToolLine } from "../tool-line";
import { type ToolCall, type TrialTurn, answered, asked, before, editedAt, isOver } from "./trial";

type Caller = Schemas["TrialCallerInput"];

interface Setting {
  caller: Caller;
  runTools: boolean;
  isUnsaved: boolean;
}

/** Dialogues by flow: they stay while one edits, until the page is left. */
const kept = new Map<string, readonly TrialTurn[]>();

/** A chat with the agent as it is, or as it would be after the changes. */
export function TryText() {
  const { base, changes, isDirty, draft } = useEditing();
  const [turns, setShown] = useState<readonly TrialTurn[]>(() => kept.get(base.id) ?? []);
  const setTurns = (next: readonly TrialTurn[]): void => {
    kept.set(base.id, next);
    setShown(next);
  };
  const [setting, setSetting] = useState<Setting>({ caller: {}, runTools: false, isUnsaved: true });
  const attempt = useAttempt();
  const trial = useAct<readonly TrialTurn[], Schemas["TryFlow"]>({
    mutationFn: (said) => {
      const body = { turns: asked(said), run_tools: setting.runTools, caller: filled(setting.caller), ...(isDirty && setting.isUnsaved ? { changes_json: changes } : {}) };
      return data(api.POST("/api/flows/{id}/try", { params: { path: { id: base.id }, header: { "Idempotency-Key": attempt.key(body) } }, body }));
    },
    onSuccess: (answer, said) => {
      attempt.done();
      setTurns(answered(said, answer));
    },
  });
  const run = (next: readonly TrialTurn[]): void => {
    setTurns(next);
    trial.mutate(next);
  };
  return (
    <div className="grid min-h-0 flex-1 items-stretch gap-5 lg:grid-cols-[minmax(0,1fr)_19rem]">
      <Dialogue
        turns={turns}
        isBusy={trial.isPending}
        error={trial.error}
        canBegin={startOf(draft) === "call"}
        onRun={run}
        onRetry={() => trial.variables && trial.mutate(trial.variables)}
        onReset={() => {
          trial.reset();
          setTurns([]);
        }}
      />
      <Settings setting={setting} onSetting={setSetting} errors={trial.error ? asApiError(trial.error).details : []} />
    </div>
  );
}

/** The caller, without what is empty; nobody if nothing is known. */
function filled(caller: Caller): Caller | null {
  const known = Object.entries(caller).filter(([, value]) => value !== "" && value !== null);
  return known.length > 0 ? Object.fromEntries(known) : null;
}

interface DialogueProps {
  turns: readonly TrialTurn[];
  isBusy: boolean;
  error: unknown;
  canBegin: boolean;
  onRun: (turns: readonly TrialTurn[]) => void;
  onRetry: () => void;
  onReset: () => void;
}

function Dialogue({ turns, isBusy, error, canBegin, onRun, onRetry, onReset }: DialogueProps) {
  const t = useTexts("try");
  const [edited, setEdited] = useState<number | null>(null);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [turns.length, isBusy]);
  return (
    <section aria-label={t.dialogue} className="flex min-h-[26rem] min-w-0 flex-col rounded-card border border-line bg-surface shadow-card">
      <div className="h-[calc(100dvh-25rem)] min-h-72 flex-1 space-y-3 overflow-auto p-4" role="log" aria-label={t.dialogue} tabIndex={0} data-quiet-focus>
        {turns.length === 0 && !isBusy && (
          <Empty icon={MessageSquare} title={t.beginTitle} action={canBegin && <Button look="primary" needs="flows:write" onClick={() => onRun([])}>{t.letItBegin}</Button>}>
            {t.beginLead}
          </Empty>
        )}
        {turns.map((turn, at) => (
          // A turn is known by its place: what comes after an edited one is gone.
          <TurnView
            key={at}
            turn={turn}
            isEdited={edited === at}
            onEdit={isBusy ? undefined : () => setEdited(at)}
            onLeave={() => setEdited(null)}
            onText={(text) => {
              setEdited(null);
              onRun(editedAt(turns, at, text));
            }}
            onAgain={isBusy ? undefined : () => onRun(before(turns, at))}
          />
        ))}
        {isBusy && <Thinking />}
        {error !== null && !isBusy && <Failure error={error} onRetry={onRetry} />}
        {isOver(turns) && !isBusy && <p className="text-center text-xs text-dim">{t.over(turns.at(-1)?.endedBy ?? "")}</p>}
        <div ref={end} />
      </div>
      <Composer isBusy={isBusy} hasTurns={turns.length > 0} onReset={onReset} onSend={(text) => onRun([...turns, { speaker: "caller", text, toolCalls: [] }])} />
    </section>
  );
}

function Thinking() {
  const t = useTexts("try");
  return (
    <div role="status" aria-label={t.thinking} className="flex w-16 items-center justify-center gap-1 rounded-card bg-sunken px-3 py-3">
      {[0, 1, 2].map((each) => (
        <span key={each} className="size-1.5 animate-[hum-pulse_1.2s_infinite] rounded-full bg-dim" style={{ animationDelay: `${each * 0.2}s` }} />
      ))}
    </div>
  );
}

interface TurnProps {
  turn: TrialTurn;
  isEdited: boolean;
  onEdit: (() => void) | undefined;
  onLeave: () => void;
  onText: (text: string) => void;
  onAgain: (() => void) | undefined;
}

function TurnView({ turn, isEdited, onEdit, onLeave, onText, onAgain }: TurnProps) {
  const t = useTexts("try");
  const isCaller = turn.speaker === "caller";
  if (isEdited) return <EditTurn text={turn.text} onLeave={onLeave} onText={onText} />;
  return (
    <article aria-label={isCaller ? t.you : t.agent} className={`group flex flex-col gap-1.5 ${isCaller ? "items-end" : "items-start"}`}>
      {turn.toolCalls.length > 0 && (
        <ul className="w-full max-w-xl space-y-1.5">
          {turn.toolCalls.map((each, at) => (
            <li key={at}>
              <TrialTool call={each} />
            </li>
          ))}
        </ul>
      )}
      <div className="flex max-w-[85%] items-start gap-1">
        {isCaller && onEdit && (
          <span className="opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 max-md:opacity-100">
            <IconButton size="sm" icon={Pencil} label={t.editTurn} needs="flows:write" onClick={onEdit} />
          </span>
        )}
        <p className={`rounded-card px-3 py-2 whitespace-pre-wrap ${isCaller ? "bg-info-soft text-ink" : "bg-accent-soft text-ink"}`}>{turn.text || <span className="text-dim">{t.silent}</span>}</p>
        {!isCaller && onAgain && (
          <span className="opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 max-md:opacity-100">
            <IconButton size="sm" icon={RefreshCw} label={t.again} needs="flows:write" onClick={onAgain} />
          </span>
        )}
      </div>
      {turn.instructions && (
        <details className="w-full max-w-xl text-xs">
          <summary className="text-dim hover:text-ink">{t.instructions}</summary>
          <pre className="mt-1 max-h-72 overflow-auto rounded-control bg-sunken p-3 font-mono whitespace-pre-wrap" tabIndex={0}>{turn.instructions}</pre>
        </details>
      )}
    </article>
  );
}

function TrialTool({ call }: { call: ToolCall }) {
  const t = useTexts("try");
  const [note, tone] = call.was_run ? (call.ok ? ([t.ran, "good"] as const) : ([t.failed, "bad"] as const)) : call.ok ? ([t.wouldRun, "info"] as const) : ([t.refused, "bad"] as const);
  return <ToolLine name={call.name} input={call.arguments} output={call.result} note={note} tone={tone} durationMs={call.was_run ? call.duration_ms : null} />;
}

function EditTurn({ text: was, onLeave, onText }: { text: string; onLeave: () => void; onText: (text: string) => void }) {
  const t = useTexts("try");
  const [text, setText] = useState(was);
  return (
    <div className="ml-auto max-w-xl">
      <TextArea
        label={t.editTurn}
        isBare
        autoFocus
        rows={3}
        maxLength={4000}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onLeave();
          else if (isSend(event) && text.trim()) onText(text.trim());
          else return;
          event.preventDefault();
        }}
      />
      <div className="mt-2 flex justify-end gap-2">
        <Button size="sm" onClick={onLeave}>
          {t.cancel}
        </Button>
        <Button size="sm" look="primary" off={text.trim() ? null : t.writeFirst} onClick={() => onText(text.trim())}>
          {t.runFromHere}
        </Button>
      </div>
    </div>
  );
}

function isSend(event: KeyboardEvent): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing;
}

function Composer({ isBusy, hasTurns, onSend, onReset }: { isBusy: boolean; hasTurns: boolean; onSend: (text: string) => void; onReset: () => void }) {
  const t = useTexts("try");
  const [text, setText] = useState("");
  const send = (): void => {
    if (isBusy || !text.trim()) return;
    onSend(text.trim());
    setText("");
  };
  return (
    <div className="flex items-end gap-2 border-t border-line p-3">
      {hasTurns && <IconButton icon={RotateCcw} label={t.reset} onClick={onReset} />}
      <div className="min-w-0 flex-1">
        <TextArea
          label={t.sayLabel}
          isBare
          rows={1}
          maxLength={4000}
          placeholder={t.say}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (!isSend(event)) return;
            event.preventDefault();
            send();
          }}
        />
      </div>
      <Button look="primary" icon={Send} needs="flows:write" busy={isBusy} off={text.trim() ? null : t.writeFirst} onClick={send}>
        {t.send}
      </Button>
    </div>
  );
}

function Settings({ setting, onSetting, errors }: { setting: Setting; onSetting: (next: Setting) => void; errors: readonly { field: string; reason: string }[] }) {
  const t = useTexts("try");
  const { isDirty } = useEditing();
  const set = (change: Partial<Caller>): void => onSetting({ ...setting, caller: { ...setting.caller, ...change } });
  return (
    <div className="min-w-0 space-y-4">
      <Card title={t.settings}>
        {isDirty && <Switch label={t.unsaved} hint={t.unsavedHint} checked={setting.isUnsaved} onChange={(event) => onSetting({ ...setting, isUnsaved: event.target.checked })} />}
        <Switch label={t.runTools} hint={t.runToolsHint} checked={setting.runTools} onChange={(event) => onSetting({ ...setting, runTools: event.target.checked })} />
      </Card>
      <Card title={t.caller}>
        <p className="mb-3 text-xs text-dim">{t.callerLead}</p>
        <TextField label={t.callerName} maxLength={200} value={setting.caller.name ?? ""} onChange={(event) => set({ name: event.target.value })} />
        <TextField label={t.callerPhone} type="tel" placeholder="+13175551234" error={reasonAt(errors, "caller.phone_e164")} value={setting.caller.phone_e164 ?? ""} onChange={(event) => set({ phone_e164: event.target.value })} onBlur={(event) => void completed(event.target.value).then((to) => to !== event.target.value && set({ phone_e164: to }))} />
        <TextField label={t.callerCompany} maxLength={200} value={setting.caller.company ?? ""} onChange={(event) => set({ company: event.target.value })} />
        <TextArea label={t.callerNotes} rows={2} maxLength={2000} value={setting.caller.notes ?? ""} onChange={(event) => set({ notes: event.target.value })} />
      </Card>
    </div>
  );
}
