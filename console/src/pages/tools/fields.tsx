/** A tool's request, field by field. */
import { useState } from "react";
import type { FieldError } from "@/api/client";
import { useTexts } from "@/i18n";
import { JsonEditor } from "@/ui/code/lazy";
import { Button } from "@/ui/button";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { Card } from "@/ui/layout";
import { Pairs } from "@/ui/pairs";
import { childPath, isUnder, reasonAt } from "@/ui/schema-form/path";
import { rowsOf } from "@/ui/schema-rows/rows";
import { SchemaRows } from "@/ui/schema-rows/schema-rows";
import { type Draft, METHODS, parsed } from "./draft";
import { sending, takesBody, unsentOf } from "./unsent";
import { SecretNames } from "./secret-names";

export interface FieldsProps {
  draft: Draft;
  onChange: (changes: Partial<Draft>) => void;
  errors: readonly FieldError[];
  isOff: boolean;
}

export function ToolFields(props: FieldsProps) {
  return (
    <div className="space-y-4">
      <Naming {...props} />
      <Arguments {...props} />
      <Request {...props} />
      <Answers {...props} />
      <Behaviour {...props} />
    </div>
  );
}

function Naming({ draft, onChange, errors, isOff }: FieldsProps) {
  const t = useTexts("tools");
  return (
    <Card title={t.forAgent}>
      <div className="space-y-3">
        <TextField label={t.name} hint={t.nameHint} maxLength={64} disabled={isOff} spellCheck={false} autoComplete="off" placeholder="look_up_order" error={reasonAt(errors, "name")} value={draft.name} onChange={(event) => onChange({ name: event.target.value })} />
        <TextArea label={t.description} hint={t.descriptionHint} rows={3} maxLength={1000} disabled={isOff} error={reasonAt(errors, "description")} value={draft.description} onChange={(event) => onChange({ description: event.target.value })} />
      </div>
    </Card>
  );
}

/** Rows, as long as they can show all of the schema; JSON by choice, and where they can't. */
function Arguments({ draft, onChange, errors, isOff }: FieldsProps) {
  const t = useTexts("tools");
  const forms = useTexts("forms");
  const [isJson, setJson] = useState(false);
  const schema = parsed(draft.parameters);
  const rows = schema === undefined ? null : rowsOf(schema);
  return (
    <Card
      title={t.arguments}
      actions={
        rows && (
          <Button size="sm" look="quiet" onClick={() => setJson(!isJson)}>
            {isJson ? t.asForm : t.asJson}
          </Button>
        )
      }
    >
      {rows && !isJson ? (
        <SchemaRows
          label={t.arguments}
          hint={t.argumentsHint}
          none={t.noArguments}
          rows={rows}
          schema={schema ?? { additionalProperties: false }}
          path="parameters_json"
          errors={errors}
          isOff={isOff}
          onChange={(next) => onChange({ parameters: next ? JSON.stringify(next, null, 2) : "" })}
        />
      ) : (
        <>
          <p className="mb-2 text-xs text-dim">{rows ? t.schemaHint : forms.rows.asJson}</p>
          <Code label={t.arguments} field="parameters_json" value={draft.parameters} errors={errors} isOff={isOff} onChange={(parameters) => onChange({ parameters })} />
        </>
      )}
    </Card>
  );
}

/** Arguments that the agent fills in and that go nowhere: with a way to send them. */
function Unsent({ draft, onChange }: Pick<FieldsProps, "draft" | "onChange">) {
  const t = useTexts("tools");
  const names = unsentOf(draft);
  if (names.length === 0) return null;
  return (
    <div role="status" className="flex flex-wrap items-center gap-2 rounded-control bg-warn-soft px-3 py-1.5 text-[13px] text-warn">
      <span className="min-w-0 flex-1">{t.unsent(names.join(", "))}</span>
      <Button size="sm" onClick={() => onChange(sending(draft, names))}>
        {takesBody(draft) ? t.sendInBody : t.sendInQuery}
      </Button>
    </div>
  );
}

function Request({ draft, onChange, errors, isOff }: FieldsProps) {
  const t = useTexts("tools");
  const hasBody = !["GET", "HEAD"].includes(draft.method) || draft.body !== "";
  return (
    <Card title={t.request}>
      <div className="space-y-4">
        <div className="grid gap-x-3 sm:grid-cols-[7rem_1fr]">
          <SelectField label={t.method} disabled={isOff} error={reasonAt(errors, "method")} value={draft.method} choices={METHODS.map((each) => ({ value: each, label: each }))} onChange={(event) => onChange({ method: event.target.value })} />
          <TextField label={t.url} hint={t.urlHint} maxLength={2000} disabled={isOff} spellCheck={false} autoComplete="off" error={reasonAt(errors, "url")} value={draft.url} onChange={(event) => onChange({ url: event.target.value })} />
        </div>
        <Pairs label={t.headers} pairs={draft.headers} addLabel={t.addHeader} isOff={isOff} namePlaceholder="X-Api-Key" valuePlaceholder="{{ secrets.shop_key }}" errorOf={errorsUnder("headers_json", errors)} onChange={(headers) => onChange({ headers })} />
        <Pairs label={t.query} hint={t.queryHint} pairs={draft.query} addLabel={t.addParameter} isOff={isOff} namePlaceholder="phone" valuePlaceholder="{{ caller.phone_e164 }}" errorOf={errorsUnder("query_json", errors)} onChange={(query) => onChange({ query })} />
        {hasBody && (
          <div>
            <div className="w-56 max-md:w-full">
              <SelectField label={t.bodyType} disabled={isOff} error={reasonAt(errors, "body_type")} value={draft.body_type} choices={(["json", "form"] as const).map((each) => ({ value: each, label: t.bodyTypes[each] }))} onChange={(event) => onChange({ body_type: event.target.value as Draft["body_type"] })} />
            </div>
            <p className="mb-1 text-[13px] font-medium">{t.body}</p>
            <p className="mb-2 text-xs text-dim">{t.bodyHint}</p>
            <Code label={t.body} field="body_json" value={draft.body} errors={errors} isOff={isOff} onChange={(body) => onChange({ body })} />
          </div>
        )}
        {!isOff && <Unsent draft={draft} onChange={onChange} />}
        <SecretNames />
        <Placeholders />
      </div>
    </Card>
  );
}

function Answers({ draft, onChange, errors, isOff }: FieldsProps) {
  const t = useTexts("tools");
  return (
    <Card title={t.answers}>
      <div className="space-y-3">
        <TextArea isMono label={t.output} hint={t.outputHint} rows={4} maxLength={8000} disabled={isOff} spellCheck={false} error={reasonAt(errors, "output_template")} value={draft.output_template} onChange={(event) => onChange({ output_template: event.target.value })} />
        <TextArea isMono label={t.fallback} hint={t.fallbackHint} rows={2} maxLength={8000} disabled={isOff} spellCheck={false} error={reasonAt(errors, "fallback_template")} value={draft.fallback_template} onChange={(event) => onChange({ fallback_template: event.target.value })} />
      </div>
    </Card>
  );
}

function Behaviour({ draft, onChange, errors, isOff }: FieldsProps) {
  const t = useTexts("tools");
  const number = (text: string): number => Math.trunc(Number(text)) || 0;
  return (
    <Card title={t.behaviour}>
      <div className="grid gap-x-3 sm:grid-cols-2">
        <TextField label={t.timeout} hint={t.timeoutHint} type="number" min={100} max={20_000} step={100} disabled={isOff} error={reasonAt(errors, "timeout_ms")} value={draft.timeout_ms} onChange={(event) => onChange({ timeout_ms: number(event.target.value) })} />
        <TextField label={t.retries} hint={t.retriesHint} type="number" min={0} max={3} disabled={isOff} error={reasonAt(errors, "retries")} value={draft.retries} onChange={(event) => onChange({ retries: number(event.target.value) })} />
      </div>
      <div className="mt-2">
        <Switch label={t.sendsKey} hint={t.sendsKeyHint} disabled={isOff} checked={draft.sends_idempotency_key} onChange={(event) => onChange({ sends_idempotency_key: event.target.checked })} />
        <Switch label={t.requiresApproval} hint={t.requiresApprovalHint} disabled={isOff} checked={draft.requires_approval} onChange={(event) => onChange({ requires_approval: event.target.checked })} />
      </div>
    </Card>
  );
}

/** What templates may hold; folded, since one learns it once. */
function Placeholders() {
  const t = useTexts("tools");
  return (
    <details className="text-[13px]">
      <summary className="w-fit font-medium text-accent hover:underline">{t.templates}</summary>
      <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
        {Object.entries(t.placeholders).map(([name, meaning]) => (
          <div key={name} className="contents">
            <dt>
              <code className="font-mono text-xs whitespace-nowrap">{name}</code>
            </dt>
            <dd className="text-dim">{meaning}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Code({ label, field, value, errors, isOff, onChange }: { label: string; field: string; value: string; errors: readonly FieldError[]; isOff: boolean; onChange: (text: string) => void }) {
  const forms = useTexts("forms");
  const own = errors.filter((each) => isUnder(each.field, field)).map((each) => ({ ...each, field: each.field.slice(field.length).replace(/^\./, "") }));
  const isBroken = parsed(value) === undefined;
  return (
    <>
      <div className="h-52">
        <JsonEditor label={label} value={value} errors={own} isReadOnly={isOff} onChange={onChange} />
      </div>
      {(isBroken || own.length > 0) && (
        <ul role="alert" className="mt-1 space-y-0.5 text-xs font-medium text-bad">
          {own.map((each) => (
            <li key={each.field + each.reason}>
              {each.field && <code className="font-mono">{each.field} </code>}
              {each.reason}
            </li>
          ))}
          {isBroken && own.length === 0 && <li>{forms.notJson}</li>}
        </ul>
      )}
    </>
  );
}

function errorsUnder(field: string, errors: readonly FieldError[]) {
  return (name: string): string | undefined => reasonAt(errors, name === "" ? field : childPath(field, name));
}
