/** The form's plain fields: each knows its words, its limits and its refusal by the field's name. */
import type { RegisterOptions } from "react-hook-form";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { type Choice, SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { reasonAt } from "@/ui/schema-form/path";
import type { Draft, FieldName } from "../flow";
import { useSchemas } from "../queries";
import { useEditing, useField } from "./editing";

/** A cleared field is unset. */
const TEXT = { setValueAs: (value: unknown) => (value === "" ? null : value) } as RegisterOptions<Draft, FieldName>;
const NUMBER = { setValueAs: (value: unknown) => (value === "" || value === null ? null : Number(value)) } as RegisterOptions<Draft, FieldName>;

export function useIsOff(): boolean {
  return !useCan("flows:write");
}

export function useLook(name: FieldName): { label: string; hint: string | undefined; error: string | undefined } {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const words = t.fields[name];
  return { label: words.label, hint: words.hint, error: reasonAt(errors, name) };
}

function useLimits(name: FieldName) {
  const schema = useSchemas().data?.["FlowInput"]?.properties?.[name];
  return { maxLength: schema?.maxLength, min: schema?.minimum, max: schema?.maximum };
}

export function FText({ name, ...rest }: { name: FieldName; placeholder?: string; list?: string; required?: boolean }) {
  const { form } = useEditing();
  const { maxLength } = useLimits(name);
  return <TextField {...useLook(name)} {...rest} {...form.register(name, name === "name" ? {} : TEXT)} maxLength={maxLength} disabled={useIsOff()} />;
}

export function FArea({ name, rows = 3, isCounted = false }: { name: FieldName; rows?: number; isCounted?: boolean }) {
  const t = useTexts("forms");
  const { form, draft } = useEditing();
  const { maxLength } = useLimits(name);
  const look = useLook(name);
  const length = typeof draft[name] === "string" ? (draft[name] as string).length : 0;
  const hint = isCounted && maxLength ? `${look.hint ?? ""} ${t.chars(count(length), count(maxLength))}`.trim() : look.hint;
  return <TextArea {...look} hint={hint} rows={rows} {...form.register(name, TEXT)} maxLength={maxLength} disabled={useIsOff()} />;
}

export function FNumber({ name }: { name: FieldName }) {
  const { form } = useEditing();
  const { min, max } = useLimits(name);
  return <TextField {...useLook(name)} type="number" inputMode="numeric" min={min} max={max} {...form.register(name, NUMBER)} disabled={useIsOff()} />;
}

export function FSwitch({ name }: { name: "voicemail_enabled" | "announce_recording" }) {
  const { form } = useEditing();
  const { label, hint } = useLook(name);
  return <Switch label={label} hint={hint} {...form.register(name)} disabled={useIsOff()} />;
}

/** A choice; `""` stands for a field that is unset. */
export function FChoice({ name, choices }: { name: FieldName; choices: readonly Choice[] }) {
  const [value, setValue] = useField(name);
  const shown = value === null || value === undefined ? "" : String(value);
  const known = choices.some((each) => each.value === shown) ? choices : [...choices, { value: shown, label: shown }];
  const read = (text: string): unknown => (text === "" ? null : name === "recording_enabled" ? text === "true" : text);
  return <SelectField {...useLook(name)} choices={known} value={shown} onChange={(event) => setValue(read(event.target.value) as Draft[typeof name])} disabled={useIsOff()} />;
}
