import { Plus, X } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { isUnder, reasonAt } from "@/ui/schema-form/path";
import type { Draft } from "../flow";
import { useEditing, useField } from "./editing";
import { type OutcomeField, type OutcomeType, TYPES, rowsOf, schemaOf } from "./outcome";
import { useIsOff } from "./plain-fields";

const PATH = "outcome_schema_json";

/** What the agent reports, as rows; a schema that has more stays JSON. */
export function OutcomeEditor() {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const [value, setValue] = useField("outcome_schema_json");
  const isOff = useIsOff();
  const rows = rowsOf(value);
  if (!rows) return <Raw value={value} isOff={isOff} onChange={setValue} />;
  const set = (next: OutcomeField[]): void => setValue(schemaOf(next, value) as Draft["outcome_schema_json"]);
  return (
    <fieldset className="min-w-0">
      <legend className="sr-only">{t.fields.outcome_schema_json.label}</legend>
      <p className="mb-2 text-xs text-dim">{t.fields.outcome_schema_json.hint}</p>
      {rows.length === 0 && <p className="mb-2 text-dim">{t.outcome.none}</p>}
      <ul className="space-y-2">
        {rows.map((row, at) => (
          <li key={at} className="rounded-control border border-line p-3">
            <Row row={row} isOff={isOff} taken={rows.filter((each) => each !== row).map((each) => each.name)} error={errors.find((each) => isUnder(each.field, `${PATH}.properties.${row.name}`))?.reason} onChange={(next) => set(next ? rows.with(at, next) : rows.toSpliced(at, 1))} />
          </li>
        ))}
      </ul>
      {reasonAt(errors, PATH) && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {reasonAt(errors, PATH)}
        </p>
      )}
      {!isOff && (
        <div className="mt-2">
          <Button size="sm" icon={Plus} onClick={() => set([...rows, { name: freeName(rows), type: "string", description: "", isNeeded: false, choices: [] }])}>
            {t.outcome.add}
          </Button>
        </div>
      )}
    </fieldset>
  );
}

function freeName(rows: readonly OutcomeField[]): string {
  for (let n = rows.length + 1; ; n += 1) if (!rows.some((each) => each.name === `field_${n}`)) return `field_${n}`;
}

function Row({ row, taken, error, onChange, isOff }: { row: OutcomeField; taken: string[]; error: string | undefined; onChange: (next: OutcomeField | null) => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const forms = useTexts("forms");
  const [name, setName] = useState(row.name);
  const isTaken = name !== row.name && taken.includes(name);
  return (
    <div className="grid gap-x-3 sm:grid-cols-[1fr_9rem_auto_auto]">
      <TextField
        label={t.outcome.name}
        value={name}
        maxLength={64}
        disabled={isOff}
        error={isTaken ? forms.nameTaken : error}
        onChange={(event) => {
          const next = event.target.value.replaceAll(/\W/g, "_");
          setName(next);
          if (next && !taken.includes(next)) onChange({ ...row, name: next });
        }}
      />
      <SelectField label={t.outcome.type} value={row.type} disabled={isOff} choices={TYPES.map((each) => ({ value: each, label: t.outcome.types[each] ?? each }))} onChange={(event) => onChange({ ...row, type: event.target.value as OutcomeType })} />
      <div className="sm:pt-5">
        <Switch label={t.outcome.needed} checked={row.isNeeded} disabled={isOff} onChange={(event) => onChange({ ...row, isNeeded: event.target.checked })} />
      </div>
      <div className="sm:pt-6">{!isOff && <IconButton icon={X} label={forms.remove(row.name)} onClick={() => onChange(null)} />}</div>
      <div className="col-span-full">
        <TextField label={t.outcome.description} value={row.description} maxLength={500} disabled={isOff} onChange={(event) => onChange({ ...row, description: event.target.value })} />
        {row.type === "enum" && <TextArea label={t.outcome.choices} rows={3} value={row.choices.join("\n")} disabled={isOff} onChange={(event) => onChange({ ...row, choices: event.target.value.split("\n") })} />}
      </div>
    </div>
  );
}

function Raw({ value, onChange, isOff }: { value: Draft["outcome_schema_json"]; onChange: (next: Draft["outcome_schema_json"]) => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const forms = useTexts("forms");
  const { errors } = useEditing();
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [isWrong, setWrong] = useState(false);
  const refused = errors.find((each) => isUnder(each.field, PATH))?.reason;
  return (
    <TextArea
      label={t.fields.outcome_schema_json.label}
      hint={t.outcome.asJson}
      error={isWrong ? forms.notJson : refused}
      isMono
      rows={10}
      spellCheck={false}
      disabled={isOff}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        try {
          const next = event.target.value.trim() === "" ? null : (JSON.parse(event.target.value) as Draft["outcome_schema_json"]);
          setWrong(next !== null && (typeof next !== "object" || Array.isArray(next)));
          if (next === null || (typeof next === "object" && !Array.isArray(next))) onChange(next);
        } catch {
          setWrong(true);
        }
      }}
    />
  );
}
