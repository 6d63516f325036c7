/** An agent from a description: what is asked, and what is proposed, field by field. */
import { Sparkles } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import { useAct } from "@/api/acts";
import { type FieldError, type Schemas, api, data } from "@/api/client";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { Diff } from "@/ui/code/lazy";
import { SelectField, TextArea, TextField } from "@/ui/field";
import { Card, Failure, Skeleton } from "@/ui/layout";
import { reasonAt } from "@/ui/schema-form/path";
import { BLANK, type Draft, FIELDS, type FieldName, isSame, shown } from "../flow";
import { HoursMentions } from "../hours/mentions";
import { Lines, useHoursLines } from "../hours/words";
import { type Line, languageName, membersInWords, omissionsByKind, textOfLines, transfersInWords } from "./words";

export type Proposal = Schemas["ProposeFlow"];
type Wanted = Schemas["ProposeFlowRequestInput"];

export function useProposal() {
  // A try that failed is tried again under its own key; asking once more after an answer is a new one.
  const attempt = useAttempt();
  return useAct<Wanted, Proposal>({
    mutationFn: (wanted) => data(api.POST("/api/flows/proposals", { body: wanted, params: { header: { "Idempotency-Key": attempt.key(wanted) } } })),
    onSuccess: attempt.done,
  });
}

/** The proposed fields that differ from `base`. */
export function proposedFields(proposal: Proposal, base: Draft): FieldName[] {
  const flow = proposal.flow;
  if (!flow) return [];
  return FIELDS.filter((name) => !isSame(flow[name] ?? BLANK[name], BLANK[name]) && !isSame(flow[name], base[name]));
}

export interface DescribeFormProps {
  channel: Draft["channel"];
  /** Whether the channel is settled: that of an agent that there is. */
  isChannelFixed?: boolean;
  proposing: ReturnType<typeof useProposal>;
}

export function DescribeForm({ channel, isChannelFixed = false, proposing }: DescribeFormProps) {
  const t = useTexts("describe");
  const [wanted, setWanted] = useState<Wanted>({ description: "", channel });
  const refusal = proposing.error ? asApiError(proposing.error) : null;
  const details: readonly FieldError[] = refusal?.details ?? [];
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (proposing.isPending || !wanted.description.trim()) return;
    proposing.mutate({ ...wanted, url: wanted.url?.trim() || null, language: wanted.language?.trim() || null });
  };
  const set = (change: Partial<Wanted>): void => setWanted({ ...wanted, ...change });
  return (
    <form onSubmit={submit} className="space-y-1">
      <TextArea label={t.description} hint={t.descriptionHint} error={reasonAt(details, "description")} rows={7} maxLength={4000} placeholder={t.example} value={wanted.description} onChange={(event) => set({ description: event.target.value })} />
      <TextField label={t.url} hint={t.urlHint} error={reasonAt(details, "url")} type="url" maxLength={2000} placeholder="https://" value={wanted.url ?? ""} onChange={(event) => set({ url: event.target.value })} />
      <div className="grid gap-x-4 sm:grid-cols-2">
        <TextField label={t.language} hint={t.languageHint} error={reasonAt(details, "language")} placeholder="en-US" value={wanted.language ?? ""} onChange={(event) => set({ language: event.target.value })} />
        {!isChannelFixed && (
          <SelectField
            label={t.channel}
            value={wanted.channel ?? "voice"}
            choices={[
              { value: "voice", label: t.channels.voice },
              { value: "sms", label: t.channels.sms },
            ]}
            onChange={(event) => set({ channel: event.target.value === "sms" ? "sms" : "voice" })}
          />
        )}
      </div>
      {refusal && details.length === 0 && <Failure error={refusal} />}
      <div className="pt-2">
        <Button look="primary" type="submit" icon={Sparkles} needs="flows:write" busy={proposing.isPending} off={wanted.description.trim() ? null : t.descriptionFirst}>
          {proposing.data ? t.again : t.propose}
        </Button>
      </div>
    </form>
  );
}

export interface ProposalViewProps {
  proposing: ReturnType<typeof useProposal>;
  base: Draft;
  /** Fields that the person does not want. */
  refused: ReadonlySet<FieldName>;
  onRefuse: (refused: ReadonlySet<FieldName>) => void;
  accept: ReactNode;
  /** What is said of the hours that it proposes. */
  aboutHours?: ReactNode;
}

export function ProposalView({ proposing, base, refused, onRefuse, accept, aboutHours }: ProposalViewProps) {
  const t = useTexts("describe");
  const proposal = proposing.data;
  if (proposing.isPending)
    return (
      <Card title={t.proposal}>
        <p role="status" className="mb-4 text-dim">
          {t.working}
        </p>
        <Skeleton lines={9} />
      </Card>
    );
  if (!proposal?.flow)
    return (
      <div className="grid h-full min-h-40 place-items-center rounded-card border border-dashed border-line-strong p-6 text-center text-dim">
        <p className="max-w-xs">{t.nothingYet}</p>
      </div>
    );
  const names = proposedFields(proposal, base);
  return (
    <Card title={t.proposal} actions={accept}>
      <div className="space-y-4">
        <p>{proposal.rationale}</p>
        {proposal.page && <p className="text-xs text-dim">{t.read(proposal.page.url, count(proposal.page.chars), proposal.page.is_cut)}</p>}
        {proposal.left_out.length > 0 && (
          <ul className="list-disc rounded-control bg-warn-soft py-2 pr-3 pl-7 text-[13px]">
            {proposal.left_out.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        )}
        <Omissions omissions={proposal.omissions} />
        <HoursMentions mentions={proposal.hours_mentions} />
        {names.length === 0 && <p className="text-dim">{t.noDifference}</p>}
        <ul className="space-y-4">
          {names.map((name) => (
            <li key={name}>
              <ProposedField name={name} before={base[name]} after={proposal.flow?.[name]} isTaken={!refused.has(name)} onTake={(isTaken) => onRefuse(new Set(isTaken ? [...refused].filter((each) => each !== name) : [...refused, name]))} />
              {name === "business_hours_json" && !refused.has(name) && aboutHours}
            </li>
          ))}
        </ul>
        <p className="text-xs text-dim">{t.readIt}</p>
      </div>
    </Card>
  );
}

function Omissions({ omissions }: { omissions: Proposal["omissions"] }) {
  const t = useTexts("describe");
  if (omissions.length === 0) return null;
  return (
    <section aria-label={t.omitted} className="rounded-control bg-warn-soft px-3 py-2 text-[13px]">
      <p className="font-medium">{t.omitted}</p>
      <ul className="my-1 list-disc pl-4">
        {omissionsByKind(omissions).map(({ kind, texts }) => (
          <li key={kind}>
            {t.omittedKinds[kind]}: {texts.join("; ")}
          </li>
        ))}
      </ul>
      <p className="text-xs">{t.omittedHint}</p>
    </section>
  );
}

function ProposedField({ name, before, after, isTaken, onTake }: { name: FieldName; before: unknown; after: unknown; isTaken: boolean; onTake: (isTaken: boolean) => void }) {
  const t = useTexts("describe");
  const form = useTexts("agentForm");
  const lines = useLines(name);
  const word = useWord(name);
  const isNew = shown(before) === "" || isSame(before, BLANK[name]);
  const text = (value: unknown): string => (lines ? textOfLines(lines(value)) : word(value));
  return (
    <div className={isTaken ? "" : "opacity-60"}>
      <label className="mb-1 flex items-center gap-2 text-[13px] font-medium">
        <input type="checkbox" className="size-4 accent-(--color-accent)" checked={isTaken} onChange={(event) => onTake(event.target.checked)} />
        {form.fields[name].label}
      </label>
      {isNew ? <Value name={name} value={after} /> : <Diff before={text(before)} after={text(after)} beforeLabel={t.now} afterLabel={t.proposed} />}
    </div>
  );
}

/** How a field's value is said line by line; null for one that is shown as it is. */
function useLines(name: FieldName): ((value: unknown) => Line[]) | null {
  const form = useTexts("agentForm");
  const hours = useHoursLines();
  if (name === "business_hours_json") return hours;
  if (name === "transfer_map_json") return (value) => transfersInWords(value, form.transfers.agentTarget);
  if (name === "turn_config_json" || name === "sms_config_json") return (value) => membersInWords(value, form.members, form.recordings);
  return null;
}

/** One value in a word, where the API's own is none for a reader. */
function useWord(name: FieldName): (value: unknown) => string {
  const form = useTexts("agentForm");
  return (value) => {
    if (typeof value === "boolean") return form.recordings[String(value)] ?? shown(value);
    return name === "language" && typeof value === "string" ? languageName(value) : shown(value);
  };
}

/** A value as a person reads it. */
function Value({ name, value }: { name: FieldName; value: unknown }) {
  const form = useTexts("agentForm");
  const lines = useLines(name);
  const word = useWord(name);
  if (lines) return <Lines lines={lines(value)} />;
  if (Array.isArray(value) && value.every((each) => typeof each === "string"))
    return (
      <ul className="list-disc rounded-control bg-sunken py-2 pr-3 pl-7 text-[13px]">
        {value.map((each) => (
          <li key={each}>{each}</li>
        ))}
      </ul>
    );
  return <p className={`max-h-72 overflow-auto rounded-control bg-sunken px-3 py-2 text-[13px] whitespace-pre-wrap ${typeof value === "object" ? "font-mono" : ""}`} tabIndex={0} role="group" aria-label={form.fields[name].label}>{word(value)}</p>;
}
