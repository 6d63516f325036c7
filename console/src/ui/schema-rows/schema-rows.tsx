/** A flat object's schema as rows of a form: what an agent reports, what a tool is called with. */
import { Plus, X } from "lucide-react";
import { useState } from "react";
import type { FieldError } from "@/api/client";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { isUnder, reasonAt } from "@/ui/schema-form/path";
import { type Row, type RowType, TYPES, schemaOf } from "./rows";

interface SchemaRowsProps {
  label: string;
  hint: string;
  /** What is said while there are no rows. */
  none: string;
  rows: readonly Row[];
  /** The schema that the rows are of. */
  schema: unknown;
  /** The field of the schema, as errors name it. */
  path: string;
  errors: readonly FieldError[];
  isOff: boolean;
  /** Null: there are no rows any more. */
  onChange: (schema: Record<string, unknown> | null) => void;
}

export function SchemaRows({ label, hint, none, rows, schema, path, errors, isOff, onChange }: SchemaRowsProps) {
  const t = useTexts("forms");
  const set = (next: readonly Row[]): void => onChange(schemaOf(next, schema));
  return (
    <fieldset className="min-w-0">
      <legend className="sr-only">{label}</legend>
      <p className="mb-2 text-xs text-dim">{hint}</p>
      {rows.length === 0 && <p className="mb-2 text-dim">{none}</p>}
      <ul className="space-y-2">
        {rows.map((row, at) => (
          <li key={at} className="rounded-control border border-line p-3">
            <RowFields row={row} isOff={isOff} taken={rows.filter((each) => each !== row).map((each) => each.name)} error={errors.find((each) => isUnder(each.field, `${path}.properties.${row.name}`))?.reason} onChange={(next) => set(next ? rows.with(at, next) : rows.toSpliced(at, 1))} />
          </li>
        ))}
      </ul>
      {reasonAt(errors, path) && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {reasonAt(errors, path)}
        </p>
      )}
      {!isOff && (
        <div className="mt-2">
          <Button size="sm" icon={Plus} onClick={() => set([...rows, { name: freeName(rows), type: "string", description: "", isNeeded: false, choices: [] }])}>
            {t.rows.add}
          </Button>
        </div>
      )}
    </fieldset>
  );
}

function freeName(rows: readonly Row[]): string {
  for (let n = rows.length + 1; ; n += 1) if (!rows.some((each) => each.name === `field_${n}`)) return `field_${n}`;
}

function RowFields({ row, taken, error, onChange, isOff }: { row: Row; taken: string[]; error: string | undefined; onChange: (next: Row | null) => void; isOff: boolean }) {
  const t = useTexts("forms");
  // What is written and can't be the name, until one goes on.
  const [unfit, setUnfit] = useState<string | null>(null);
  return (
    <div className="grid gap-x-3 sm:grid-cols-[1fr_9rem_auto_auto]">
      <TextField
        label={t.rows.name}
        value={unfit ?? row.name}
        maxLength={64}
        disabled={isOff}
        error={unfit ? t.nameTaken : error}
        onBlur={() => setUnfit(null)}
        onChange={(event) => {
          const next = event.target.value.replaceAll(/\W/g, "_");
          const fits = next !== "" && !taken.includes(next);
          setUnfit(fits ? null : next);
          if (fits) onChange({ ...row, name: next });
        }}
      />
      <SelectField label={t.rows.type} value={row.type} disabled={isOff} choices={TYPES.map((each) => ({ value: each, label: t.rows.types[each] ?? each }))} onChange={(event) => onChange({ ...row, type: event.target.value as RowType })} />
      <div className="sm:pt-5">
        <Switch label={t.rows.needed} checked={row.isNeeded} disabled={isOff} onChange={(event) => onChange({ ...row, isNeeded: event.target.checked })} />
      </div>
      <div className="sm:pt-6">{!isOff && <IconButton icon={X} label={t.remove(row.name)} onClick={() => onChange(null)} />}</div>
      <div className="col-span-full">
        <TextField label={t.rows.description} value={row.description} maxLength={500} disabled={isOff} onChange={(event) => onChange({ ...row, description: event.target.value })} />
        {row.type === "enum" && <TextArea label={t.rows.choices} rows={3} value={row.choices.join("\n")} disabled={isOff} onChange={(event) => onChange({ ...row, choices: event.target.value.split("\n") })} />}
      </div>
    </div>
  );
}
