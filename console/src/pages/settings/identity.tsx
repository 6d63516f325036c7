import { Plus, X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { TextArea, TextField } from "@/ui/field";
import { Card } from "@/ui/layout";
import { type Fact, type Facts, NAMED, type Named, factsOf, faultOf, identityOf, isEmailLike } from "./facts";
import { type Organization, type Patch, useSave } from "./queries";
import { SaveBar } from "./save-bar";

const VALUE_CHARS = 2000;

/** What all agents know of the business. */
export function Identity({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const [{ kept, ...initial }] = useState(() => factsOf(organization.business_identity_json as Record<string, unknown> | null));
  const [facts, setFacts] = useState<Facts>(initial);
  const [fault, setFault] = useState<string>();
  const isDirty = JSON.stringify(identityOf(facts, kept)) !== JSON.stringify(identityOf(initial, kept)) || facts.rows.length !== initial.rows.length;
  const save = useSave(["business_identity_json"], (_, reason) => setFault(reason), () => setFault(undefined));
  const faults = facts.rows.map((_, at) => faultOf(facts.rows, at, kept));
  const email = facts.named.email ?? "";
  const isBadEmail = email.trim() !== "" && !isEmailLike(email);
  const [isTried, setTried] = useState(false);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setTried(true);
    if (isBadEmail) return;
    if (faults.every((each) => each === null)) save.mutate({ business_identity_json: identityOf(facts, kept) } as Patch);
  };
  const message = fault ?? (faults.includes("nameless") && isDirty ? t.factNameless : "");
  return (
    <Card title={t.identity}>
      <p className="mb-3 text-dim">{t.identityLead}</p>
      <form onSubmit={submit}>
        <div className="space-y-3">
          {NAMED.filter((name) => !(name in kept)).map((name) => (
            <NamedField key={name} name={name} value={facts.named[name] ?? ""} error={name === "email" && isBadEmail && isTried ? t.notEmail : undefined} onChange={(value) => setFacts({ ...facts, named: { ...facts.named, [name]: value } })} />
          ))}
        </div>
        <Rows rows={facts.rows} faults={faults} isTried={isTried} onChange={(rows) => setFacts({ ...facts, rows })} />
        {message && (
          <p role="alert" className="mt-2 text-xs font-medium text-bad">
            {message}
          </p>
        )}
        <SaveBar isDirty={isDirty} isBusy={save.isPending} />
      </form>
    </Card>
  );
}

function NamedField({ name, value, error, onChange }: { name: Named; value: string; error?: string | undefined; onChange: (value: string) => void }) {
  const t = useTexts("settings");
  const props = { ...t.named[name], maxLength: VALUE_CHARS, value, error };
  if (name === "description") return <TextArea {...props} rows={3} onChange={(event) => onChange(event.target.value)} />;
  return <TextField {...props} onChange={(event) => onChange(event.target.value)} />;
}

function Rows({ rows, faults, isTried, onChange }: { rows: readonly Fact[]; faults: readonly ReturnType<typeof faultOf>[]; isTried: boolean; onChange: (rows: readonly Fact[]) => void }) {
  const t = useTexts("settings");
  const change = (at: number, next: Partial<Fact>): void => onChange(rows.map((row, other) => (other === at ? { ...row, ...next } : row)));
  return (
    <>
      <p className="mt-3 mb-1 text-[13px] font-medium">{t.otherFacts}</p>
      <p className="mb-2 text-xs text-dim">{t.otherFactsHint}</p>
      <ul className="space-y-2">
        {rows.map((row, at) => (
          <li key={at} className="grid grid-cols-[minmax(6rem,1fr)_2fr_auto] items-start gap-2">
            <TextField isBare label={t.factName} placeholder={t.factName} maxLength={120} value={row.name} error={faults[at] === "twice" ? t.factTwice : undefined} onChange={(event) => change(at, { name: event.target.value })} />
            <TextField isBare label={row.name || t.factValue} placeholder={t.factValue} maxLength={VALUE_CHARS} value={row.value} error={faults[at] === "valueless" && isTried ? t.factValueless : undefined} onChange={(event) => change(at, { value: event.target.value })} />
            <IconButton icon={X} label={t.removeFact(row.name)} needs="team:write" onClick={() => onChange(rows.filter((_, other) => other !== at))} />
          </li>
        ))}
      </ul>
      <div className="mt-2">
        <Button size="sm" look="quiet" icon={Plus} needs="team:write" onClick={() => onChange([...rows, { name: "", value: "" }])}>
          {t.addFact}
        </Button>
      </div>
    </>
  );
}
