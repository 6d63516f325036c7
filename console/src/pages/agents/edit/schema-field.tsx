import { useTexts } from "@/i18n";
import { isUnder } from "@/ui/schema-form/path";
import { SchemaForm } from "@/ui/schema-form/schema-form";
import { isObject, resolved } from "@/ui/schema-form/schema";
import type { Draft, FieldName } from "../flow";
import { useSchemas } from "../queries";
import { useEditing, useField } from "./editing";
import { useIsOff } from "./plain-fields";

/** A free-form field as a form, made from the schema that the API checks it with. */
export function FSchema({ name, isEmptyKept = false }: { name: FieldName; isEmptyKept?: boolean }) {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const [value, setValue] = useField(name);
  const schemas = useSchemas().data;
  const raw = schemas?.["FlowInput"]?.properties?.[name];
  const isOff = useIsOff();
  if (!schemas || !raw) return null;
  const isEmpty = (next: unknown): boolean => next === undefined || (isObject(next) && Object.keys(next).length === 0) || (Array.isArray(next) && next.length === 0);
  const empty = isEmptyKept ? {} : Array.isArray(value) ? [] : null;
  const { hint, label } = t.fields[name];
  return (
    <fieldset className="min-w-0">
      <legend className="text-[13px] font-medium">{label}</legend>
      {hint && <p className="mb-2 text-xs text-dim">{hint}</p>}
      <SchemaForm
        schema={resolved(raw, schemas)}
        schemas={schemas}
        value={value}
        path={name}
        label={label}
        errors={errors.filter((each) => isUnder(each.field, name))}
        words={t.members}
        isOff={isOff}
        onChange={(next) => setValue((isEmpty(next) ? empty : next) as Draft[FieldName])}
      />
    </fieldset>
  );
}
