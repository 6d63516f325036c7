/** The fields of a webhook: for a new one, and for its settings. */
import { Plus, X } from "lucide-react";
import { useAllFlows } from "@/api/flows";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { SelectField, Switch, TextField } from "@/ui/field";
import { EventsPicker } from "./events-picker";
import { type Preset, useNumberNames } from "./queries";
import { type FieldName, type Header, SEALED, type Values } from "./values";

export type Faults = Partial<Record<FieldName, string>>;

interface Props {
  values: Values;
  onChange: (next: Values) => void;
  faults: Faults;
  isOff: boolean;
  preset?: Preset | undefined;
}

const FORMATS = ["event", "slack", "discord", "teams"] as const;

export function WebhookFields({ values, onChange, faults, isOff, preset }: Props) {
  const t = useTexts("webhooks");
  const set = (change: Partial<Values>): void => onChange({ ...values, ...change });
  return (
    <div className="space-y-4">
      <div className="space-y-3">
        <TextField label={t.url} hint={preset?.url_prefixes[0] ? t.beginsWith(preset.url_prefixes[0]) : t.urlHint} error={faults.url} type="url" inputMode="url" autoComplete="off" spellCheck={false} maxLength={2048} disabled={isOff} value={values.url} onChange={(event) => set({ url: event.target.value })} />
        <TextField label={t.description} hint={t.descriptionHint} error={faults.description} maxLength={500} disabled={isOff} value={values.description} onChange={(event) => set({ description: event.target.value })} />
      </div>
      <EventsPicker key={values.preset} events={values.events} onChange={(events) => set({ events })} error={faults.events} isOff={isOff} />
      <Narrowing values={values} set={set} faults={faults} isOff={isOff} />
      <div>
        <SelectField label={t.format} error={faults.format} hint={t.formatHints[values.format]} disabled={isOff} choices={FORMATS.map((each) => ({ value: each, label: t.formats[each] }))} value={values.format} onChange={(event) => set({ format: FORMATS.find((each) => each === event.target.value) ?? "event" })} />
        <Switch label={t.ordered} hint={faults.ordered ?? t.orderedHint} disabled={isOff} checked={values.ordered} onChange={(event) => set({ ordered: event.target.checked })} />
      </div>
      <Headers headers={values.headers} onChange={(headers) => set({ headers })} error={faults.headers_json} isOff={isOff} />
    </div>
  );
}

type Set = (change: Partial<Values>) => void;

/** Only events of some numbers or agents. */
function Narrowing({ values, set, faults, isOff }: { values: Values; set: Set; faults: Faults; isOff: boolean }) {
  const t = useTexts("webhooks");
  const numbers = useNumberNames().data?.numbers ?? [];
  const flows = useAllFlows().data ?? [];
  const isAny = numbers.length > 0 || flows.length > 0 || values.number_ids.length > 0 || values.flow_ids.length > 0;
  if (!isAny) return null;
  return (
    <details open={values.number_ids.length + values.flow_ids.length > 0} className="rounded-control border border-line">
      <summary className="flex min-h-10 items-center px-3 font-medium hover:bg-hover">{t.narrow}</summary>
      <div className="grid gap-4 px-3 pt-1 pb-3 sm:grid-cols-2">
        <Several label={t.onlyNumbers} hint={t.onlyNumbersHint} error={faults.number_ids} known={numbers.map((each) => ({ id: each.id, label: each.friendly_name ?? phone(each.e164) }))} chosen={values.number_ids} onChange={(number_ids) => set({ number_ids })} isOff={isOff} />
        <Several label={t.onlyFlows} hint={t.onlyFlowsHint} error={faults.flow_ids} known={flows.map((each) => ({ id: each.id, label: each.name }))} chosen={values.flow_ids} onChange={(flow_ids) => set({ flow_ids })} isOff={isOff} />
      </div>
    </details>
  );
}

function Several({ label, hint, error, known, chosen, onChange, isOff }: { label: string; hint: string; error: string | undefined; known: readonly { id: string; label: string }[]; chosen: readonly string[]; onChange: (next: string[]) => void; isOff: boolean }) {
  const strangers = chosen.filter((id) => !known.some((each) => each.id === id)).map((id) => ({ id, label: id }));
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{label}</legend>
      <p className="mb-1 text-xs text-dim">{hint}</p>
      <ul className="max-h-48 overflow-auto">
        {[...known, ...strangers].map((each) => (
          <li key={each.id}>
            <label className="flex min-h-8 items-center gap-2">
              <input type="checkbox" className="accent-accent" disabled={isOff} checked={chosen.includes(each.id)} onChange={(event) => onChange(event.target.checked ? [...chosen, each.id] : chosen.filter((id) => id !== each.id))} />
              <span className="min-w-0 truncate">{each.label}</span>
            </label>
          </li>
        ))}
      </ul>
      {error && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** Headers of one's own. Values are kept sealed: a new one replaces them, an untouched one stays. */
function Headers({ headers, onChange, error, isOff }: { headers: readonly Header[]; onChange: (next: Header[]) => void; error: string | undefined; isOff: boolean }) {
  const t = useTexts("webhooks");
  const change = (at: number, part: Partial<Header>): void => onChange(headers.map((each, index) => (index === at ? { ...each, ...part } : each)));
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{t.headers}</legend>
      <p className="mb-2 text-xs text-dim">{t.headersHint}</p>
      <ul className="space-y-2">
        {headers.map((header, at) => (
          // Headers have no ids; what is typed belongs to its place.
          <li key={at} className="flex items-start gap-2">
            <div className="min-w-0 flex-1">
              <TextField isBare label={t.headerName} placeholder="X-Api-Key" maxLength={100} autoComplete="off" spellCheck={false} disabled={isOff} value={header.name} onChange={(event) => change(at, { name: event.target.value })} />
            </div>
            <div className="min-w-0 flex-[2]">
              <TextField
                isBare
                label={t.headerValue}
                placeholder={t.headerValue}
                autoComplete="off"
                spellCheck={false}
                disabled={isOff}
                value={header.value}
                onFocus={() => header.value === SEALED && change(at, { value: "" })}
                onChange={(event) => change(at, { value: event.target.value })}
              />
            </div>
            {!isOff && <IconButton icon={X} label={t.removeHeader(header.name)} onClick={() => onChange(headers.filter((_, index) => index !== at))} />}
          </li>
        ))}
      </ul>
      {!isOff && (
        <div className="mt-2">
          <Button size="sm" icon={Plus} onClick={() => onChange([...headers, { name: "", value: "" }])}>
            {t.addHeader}
          </Button>
        </div>
      )}
      {error && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}
