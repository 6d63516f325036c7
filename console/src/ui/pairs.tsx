/** Names with values, in rows: headers, query parameters. What is typed stays, also while a name is empty or there twice. */
import { Plus, X } from "lucide-react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "./button";
import { TextField } from "./field";

export type Pair = readonly [name: string, value: string];

export function pairsOf(object: Record<string, unknown> | null | undefined): Pair[] {
  return Object.entries(object ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
}

/** The object; null without any. Rows without a name are left out. */
export function objectOf(pairs: readonly Pair[]): Record<string, string> | null {
  const named = pairs.filter(([name]) => name.trim() !== "").map(([name, value]) => [name.trim(), value] as const);
  return named.length > 0 ? Object.fromEntries(named) : null;
}

export interface PairsProps {
  label: string;
  hint?: string;
  pairs: readonly Pair[];
  onChange: (pairs: Pair[]) => void;
  addLabel: string;
  /** What is wrong with the value of a name, or, with "", of all. */
  errorOf?: (name: string) => string | undefined;
  isOff?: boolean;
  namePlaceholder?: string;
  valuePlaceholder?: string;
}

export function Pairs({ label, hint, pairs, onChange, addLabel, errorOf, isOff = false, namePlaceholder, valuePlaceholder }: PairsProps) {
  const t = useTexts("forms");
  const all = errorOf?.("");
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{label}</legend>
      {hint && <p className="text-xs text-dim">{hint}</p>}
      <ul className="mt-1.5 space-y-1.5">
        {pairs.map(([name, value], at) => {
          const isTwice = name.trim() !== "" && pairs.some(([other], place) => place < at && other.trim() === name.trim());
          return (
            // Rows have no ids; what is typed belongs to its place.
            <li key={at} className="flex items-start gap-2 max-sm:flex-wrap">
              <div className="max-sm:flex-1 sm:w-2/5 sm:max-w-56">
                <TextField isBare label={`${label} ${at + 1}: ${t.name}`} placeholder={namePlaceholder ?? t.name} disabled={isOff} error={isTwice ? t.nameTaken : undefined} value={name} spellCheck={false} autoComplete="off" onChange={(event) => onChange(pairs.map((each, place) => (place === at ? [event.target.value, value] : each)))} />
              </div>
              <div className="min-w-0 flex-1 max-sm:order-last max-sm:basis-full">
                <TextField isBare label={`${label} ${at + 1}: ${t.value}`} placeholder={valuePlaceholder ?? t.value} disabled={isOff} error={name ? errorOf?.(name.trim()) : undefined} value={value} spellCheck={false} autoComplete="off" onChange={(event) => onChange(pairs.map((each, place) => (place === at ? [name, event.target.value] : each)))} />
              </div>
              {!isOff && <IconButton icon={X} label={t.remove(name || t.item(at + 1))} onClick={() => onChange(pairs.toSpliced(at, 1))} />}
            </li>
          );
        })}
      </ul>
      {all && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {all}
        </p>
      )}
      {!isOff && (
        <div className="mt-1.5">
          <Button size="sm" icon={Plus} onClick={() => onChange([...pairs, ["", ""]])}>
            {addLabel}
          </Button>
        </div>
      )}
    </fieldset>
  );
}
