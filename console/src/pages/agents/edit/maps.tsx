/** Transfers and routes: names that lead to people and to other agents. */
import { Plus, X } from "lucide-react";
import { useState } from "react";
import { useAllFlows } from "@/api/flows";
import { completed } from "@/api/phones";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { SelectField, TextField } from "@/ui/field";
import { childPath, reasonAt } from "@/ui/schema-form/path";
import { SchemaForm } from "@/ui/schema-form/schema-form";
import { type JsonSchema, isObject, renamed, withMember } from "@/ui/schema-form/schema";
import type { Draft } from "../flow";
import { useSchemas } from "../queries";
import { useEditing, useField } from "./editing";
import { useIsOff } from "./plain-fields";

type Entries = Record<string, unknown>;

function entriesOf(value: unknown): Entries {
  return isObject(value) ? value : {};
}

/** A name that nothing has yet. */
function freeName(map: Entries, stem: string): string {
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? stem : `${stem} ${n}`;
    if (!(name in map)) return name;
  }
}

export function TransferMap() {
  const t = useTexts("agentForm");
  const [value, setValue] = useField("transfer_map_json");
  const map = entriesOf(value);
  const isOff = useIsOff();
  const set = (next: Entries): void => setValue((Object.keys(next).length > 0 ? next : null) as Draft["transfer_map_json"]);
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{t.fields.transfer_map_json.label}</legend>
      <p className="mb-2 text-xs text-dim">{t.fields.transfer_map_json.hint}</p>
      {Object.keys(map).length === 0 && <p className="mb-2 text-dim">{t.transfers.none}</p>}
      <ul className="space-y-2">
        {Object.entries(map).map(([label, target]) => (
          <li key={label} className="rounded-control border border-line p-3">
            <Transfer label={label} target={target} isOff={isOff} onTarget={(next) => set(withMember(map, label, next))} onRename={(next) => {
              const changed = renamed(map, label, next);
              if (changed) set(changed);
              return changed !== null;
            }} />
          </li>
        ))}
      </ul>
      {!isOff && (
        <div className="mt-2">
          <Button size="sm" icon={Plus} onClick={() => set({ ...map, [freeName(map, t.transfers.labelHint)]: "+1" })}>
            {t.transfers.add}
          </Button>
        </div>
      )}
    </fieldset>
  );
}

interface TransferProps {
  label: string;
  target: unknown;
  isOff: boolean;
  onTarget: (next: unknown) => void;
  onRename: (next: string) => boolean;
}

function Transfer({ label, target, isOff, onTarget, onRename }: TransferProps) {
  const t = useTexts("agentForm");
  const forms = useTexts("forms");
  const { errors, base } = useEditing();
  const path = childPath("transfer_map_json", label);
  const isAgent = typeof target === "string" && (target === "" || target.startsWith("flow_"));
  const options = isObject(target) ? target : null;
  const number = options ? String(options["to"] ?? "") : isAgent ? "" : String(target ?? "");
  const setNumber = (to: string): void => onTarget(options ? { ...options, to } : to);
  return (
    <div className="grid gap-x-3 gap-y-1 sm:grid-cols-[1fr_1fr_2.25rem]">
      <NameField label={t.transfers.label} value={label} onRename={onRename} isOff={isOff} />
      <SelectField
        label={t.transfers.target}
        disabled={isOff}
        value={isAgent ? "agent" : "number"}
        choices={[
          { value: "number", label: t.transfers.number },
          { value: "agent", label: t.transfers.agentTarget },
        ]}
        onChange={(event) => onTarget(event.target.value === "agent" ? "" : "+1")}
      />
      <div className="pt-6 max-sm:pt-0">{!isOff && <IconButton icon={X} label={forms.remove(label)} onClick={() => onTarget(undefined)} />}</div>
      <div className="sm:col-span-2">
        {isAgent ? (
        <AgentSelect label={t.transfers.agentLabel} value={String(target)} own={base.id} error={reasonAt(errors, path)} onChange={onTarget} isOff={isOff} />
      ) : (
        <TextField
          label={t.transfers.numberLabel}
          type="tel"
          placeholder="+13175551234"
          disabled={isOff}
          maxLength={30}
          value={number}
          error={reasonAt(errors, path) ?? reasonAt(errors, `${path}.to`)}
          onChange={(event) => setNumber(event.target.value.replaceAll(/[^\d+]/g, ""))}
          onBlur={() => void completed(number).then((to) => to !== number && setNumber(to))}
        />
      )}
      </div>
      {!isAgent && <Ringing path={path} number={number} options={options} onChange={onTarget} isOff={isOff} />}
    </div>
  );
}

/** How a number is rung: made from the schema, without the number itself. */
function Ringing({ path, number, options, onChange, isOff }: { path: string; number: string; options: Entries | null; onChange: (next: unknown) => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const whole = useSchemas().data?.["TransferMapJson"]?.additionalProperties;
  if (typeof whole !== "object" || !whole.properties) return null;
  const { to: _, ...properties } = whole.properties;
  const schema: JsonSchema = { type: "object", properties, additionalProperties: false };
  const { to: __, ...rest } = options ?? {};
  return (
    <details className="col-span-full" open={options !== null && Object.keys(rest).length > 0}>
      <summary className="text-[13px] text-dim hover:text-ink">{t.transfers.options}</summary>
      <div className="pt-2">
        <SchemaForm schema={schema} value={rest} path={path} label={t.transfers.options} errors={errors} words={t.members} isOff={isOff} onChange={(next) => onChange(isObject(next) && Object.keys(next).length > 0 ? { to: number, ...next } : number)} />
      </div>
    </details>
  );
}

export function RouteTags() {
  const t = useTexts("agentForm");
  const forms = useTexts("forms");
  const { errors, base } = useEditing();
  const [value, setValue] = useField("route_tags_json");
  const map = entriesOf(value);
  const isOff = useIsOff();
  const set = (next: Entries): void => setValue((Object.keys(next).length > 0 ? next : null) as Draft["route_tags_json"]);
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{t.fields.route_tags_json.label}</legend>
      <p className="mb-2 text-xs text-dim">{t.fields.route_tags_json.hint}</p>
      {Object.keys(map).length === 0 && <p className="mb-2 text-dim">{t.routes.none}</p>}
      <ul>
        {Object.entries(map).map(([tag, target]) => (
          <li key={tag} className="grid gap-x-3 sm:grid-cols-[1fr_1.4fr_auto]">
            <NameField label={t.routes.tag} value={tag} isOff={isOff} onRename={(next) => {
              const changed = renamed(map, tag, next);
              if (changed) set(changed);
              return changed !== null;
            }} />
            <AgentSelect label={t.routes.agent} value={String(target)} own={base.id} error={reasonAt(errors, childPath("route_tags_json", tag))} onChange={(next) => set({ ...map, [tag]: next })} isOff={isOff} />
            {!isOff && (
              <div className="pt-6 max-sm:pt-0">
                <IconButton icon={X} label={forms.remove(tag)} onClick={() => set(withMember(map, tag, undefined))} />
              </div>
            )}
          </li>
        ))}
      </ul>
      {!isOff && (
        <Button size="sm" icon={Plus} onClick={() => set({ ...map, [freeName(map, "vip")]: "" })}>
          {t.routes.add}
        </Button>
      )}
    </fieldset>
  );
}

/** A member's name; taken when one leaves it. */
export function NameField({ label, value, onRename, isOff }: { label: string; value: string; onRename: (next: string) => boolean; isOff: boolean }) {
  const forms = useTexts("forms");
  const [text, setText] = useState(value);
  const [fault, setFault] = useState<string>();
  return (
    <TextField
      label={label}
      value={text}
      error={fault}
      disabled={isOff}
      maxLength={60}
      onChange={(event) => setText(event.target.value)}
      onBlur={() => {
        const name = text.trim();
        if (name === "") setFault(forms.needed);
        else setFault(onRename(name) ? undefined : forms.nameTaken);
      }}
    />
  );
}

export function AgentSelect({ label, value, own, error, onChange, isOff }: { label: string; value: string; own: string; error: string | undefined; onChange: (id: string) => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const flows = (useAllFlows().data ?? []).filter((each) => each.id !== own);
  const isKnown = value === "" || flows.some((each) => each.id === value);
  const choices = [{ value: "", label: t.transfers.choose, isOff: true }, ...flows.map((each) => ({ value: each.id, label: each.name ?? each.id })), ...(isKnown ? [] : [{ value, label: value }])];
  return <SelectField label={label} value={value} error={error} disabled={isOff} choices={choices} onChange={(event) => onChange(event.target.value)} />;
}
