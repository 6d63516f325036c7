/** A form made from a JSON Schema: objects, maps, lists, choices, numbers, texts; what fits none of them is edited as JSON. */
import { Plus, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { FieldError } from "@/api/client";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "../button";
import { SelectField, TextArea, TextField } from "../field";
import { childPath, reasonAt } from "./path";
import { type JsonSchema, blankOf, complaint, isObject, renamed, resolved, shapeOf, withMember, wordsOf } from "./schema";
import type { Words } from "./words";

/** One value's place in the form. */
export interface Spot {
  schema: JsonSchema;
  value: unknown;
  /** `undefined` leaves the member out. */
  onChange: (next: unknown) => void;
  path: string;
  label: string;
  hint: string | undefined;
  error: string | undefined;
  isRequired: boolean;
}

interface Around {
  errors: readonly FieldError[];
  schemas?: Record<string, JsonSchema>;
  /** Words for members by name; the schema's own otherwise. */
  words?: Record<string, Words>;
  /** A control of one's own for a place; undefined leaves it to the form. */
  widget?: (spot: Spot) => ReactNode | undefined;
  isOff?: boolean;
}

export interface SchemaFormProps extends Around {
  schema: JsonSchema;
  value: unknown;
  onChange: (next: unknown) => void;
  path: string;
  label: string;
}

export function SchemaForm({ schema, value, onChange, path, label, ...around }: SchemaFormProps) {
  const spot = { schema: resolved(schema, around.schemas), value, onChange, path, label, hint: undefined, error: reasonAt(around.errors, path), isRequired: false };
  return <Control {...spot} around={around} isRoot />;
}

type ControlProps = Spot & { around: Around; isRoot?: boolean; isBare?: boolean };

function Control(props: ControlProps) {
  const own = props.around.widget?.(props);
  if (own !== undefined) return own;
  switch (shapeOf(props.schema)) {
    case "object":
      return <ObjectControl {...props} />;
    case "map":
      return <MapControl {...props} />;
    case "array":
      return <ArrayControl {...props} />;
    case "json":
      return <JsonControl {...props} />;
    default:
      return <PlainControl {...props} />;
  }
}

/** Label and error around controls that are several. */
function Group({ label, hint, error, isRoot, children }: { label: string; hint: string | undefined; error: string | undefined; isRoot: boolean | undefined; children: ReactNode }) {
  return (
    <fieldset className="min-w-0">
      <legend className={isRoot ? "sr-only" : "mb-1 text-[13px] font-medium"}>{label}</legend>
      {hint && !isRoot && <p className="mb-2 text-xs text-dim">{hint}</p>}
      {children}
      {error && (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {error}
        </p>
      )}
    </fieldset>
  );
}

function ObjectControl({ schema, value, onChange, path, label, hint, error, around, isRoot }: ControlProps) {
  const object = isObject(value) ? value : {};
  return (
    <Group label={label} hint={hint} error={error} isRoot={isRoot}>
      <div className={`grid gap-x-4 gap-y-2 ${isRoot ? "sm:grid-cols-2" : "rounded-control border border-line p-3"}`}>
        {Object.entries(schema.properties ?? {}).map(([name, raw]) => {
          const member = resolved(raw, around.schemas);
          const at = childPath(path, name);
          const words = around.words?.[name];
          const isWide = ["object", "map", "array", "json"].includes(shapeOf(member));
          return (
            <div key={name} className={isWide ? "sm:col-span-full" : ""}>
              <Control
                schema={member}
                value={object[name]}
                onChange={(next) => onChange(withMember(object, name, next))}
                path={at}
                label={words?.label ?? wordsOf(name)}
                hint={words ? words.hint : member.description}
                error={reasonAt(around.errors, at)}
                isRequired={schema.required?.includes(name) ?? false}
                around={around}
              />
            </div>
          );
        })}
      </div>
    </Group>
  );
}

function MapControl({ schema, value, onChange, path, label, hint, error, around, isRoot }: ControlProps) {
  const t = useTexts("forms");
  const map = isObject(value) ? value : {};
  const [name, setName] = useState("");
  const member = resolved(typeof schema.additionalProperties === "object" ? schema.additionalProperties : {}, around.schemas);
  const names = schema.propertyNames ?? {};
  const wrong = name === "" ? undefined : name in map ? t.nameTaken : nameComplaint(names, name, t.mustBe);
  const add = (): void => {
    if (name === "" || wrong) return;
    onChange({ ...map, [name]: blankOf(member) });
    setName("");
  };
  return (
    <Group label={label} hint={hint} error={error} isRoot={isRoot}>
      <ul className="space-y-1">
        {Object.entries(map).map(([key, each]) => {
          const at = childPath(path, key);
          return (
            <li key={key} className="flex items-start gap-2">
              <div className="w-28 shrink-0">
                <KeyField value={key} names={names} onRename={(next) => {
                  const changed = renamed(map, key, next);
                  if (changed) onChange(changed);
                  return changed !== null;
                }} isOff={around.isOff ?? false} />
              </div>
              <div className="min-w-0 flex-1">
                <Control schema={member} value={each} onChange={(next) => onChange(withMember(map, key, next ?? blankOf(member)))} path={at} label={key} hint={undefined} error={reasonAt(around.errors, at)} isRequired around={around} isBare />
              </div>
              {!around.isOff && <IconButton icon={X} label={t.remove(key)} onClick={() => onChange(withMember(map, key, undefined))} />}
            </li>
          );
        })}
      </ul>
      {!around.isOff && (
        <div className="mt-2 flex items-start gap-2">
          <div className="w-28 shrink-0">
            <TextField
              label={t.name}
              isBare
              placeholder={t.name}
              error={wrong}
              value={name}
              maxLength={names.maxLength}
              onChange={(event) => setName(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                add();
              }}
            />
          </div>
          <Button icon={Plus} onClick={add} off={wrong ?? null}>
            {t.add}
          </Button>
        </div>
      )}
    </Group>
  );
}

function nameComplaint(schema: JsonSchema, name: string, mustBe: (what: string) => string): string | undefined {
  const wanted = complaint(schema, name);
  return wanted && mustBe(wanted);
}

/** A member's name, taken when one leaves it. */
function KeyField({ value, names, onRename, isOff }: { value: string; names: JsonSchema; onRename: (next: string) => boolean; isOff: boolean }) {
  const t = useTexts("forms");
  const [text, setText] = useState(value);
  const [fault, setFault] = useState<string>();
  const leave = (): void => {
    const wrong = nameComplaint(names, text, t.mustBe);
    if (text === "" || wrong) setFault(wrong ?? t.needed);
    else if (!onRename(text)) setFault(t.nameTaken);
    else setFault(undefined);
  };
  return <TextField label={t.name} isBare error={fault} value={text} disabled={isOff} maxLength={names.maxLength} onChange={(event) => setText(event.target.value)} onBlur={leave} />;
}

function ArrayControl({ schema, value, onChange, path, label, hint, error, around, isRoot }: ControlProps) {
  const t = useTexts("forms");
  const list: unknown[] = Array.isArray(value) ? value : [];
  const element = resolved(schema.items ?? {}, around.schemas);
  const isFull = list.length >= (schema.maxItems ?? Infinity);
  return (
    <Group label={label} hint={hint} error={error} isRoot={isRoot}>
      <ul className="space-y-1">
        {list.map((each, at) => (
          // Elements have no ids; what is typed belongs to its place.
          <li key={at} className="flex items-start gap-2">
            <div className="min-w-0 flex-1">
              <Control
                schema={element}
                value={each}
                onChange={(next) => onChange(list.with(at, next ?? blankOf(element)))}
                path={childPath(path, at)}
                label={`${label}: ${t.item(at + 1)}`}
                hint={undefined}
                error={reasonAt(around.errors, childPath(path, at))}
                isRequired
                around={around}
                isBare
              />
            </div>
            {!around.isOff && <IconButton icon={X} label={t.remove(t.item(at + 1))} onClick={() => onChange(list.length === 1 && !isRoot ? undefined : list.toSpliced(at, 1))} />}
          </li>
        ))}
      </ul>
      {!around.isOff && !isFull && (
        <div className="mt-1">
          <Button size="sm" icon={Plus} onClick={() => onChange([...list, blankOf(element)])}>
            {t.add}
          </Button>
        </div>
      )}
    </Group>
  );
}

function PlainControl({ schema, value, onChange, label, hint, error, isRequired, around, isBare = false }: ControlProps) {
  const t = useTexts("forms");
  const field = { label, hint, isBare, disabled: around.isOff ?? false };
  const shape = shapeOf(schema);
  if (shape === "choice" || shape === "boolean") {
    const known = shape === "boolean" ? [{ value: "true", label: t.yes }, { value: "false", label: t.no }] : (schema.enum ?? []).map((each) => ({ value: String(each), label: around.words?.[String(each)]?.label ?? wordsOf(String(each)) }));
    const choices = isRequired ? known : [{ value: "", label: t.unset }, ...known];
    return (
      <SelectField
        {...field}
        error={error}
        choices={choices}
        value={value === undefined || value === null ? "" : String(value)}
        onChange={(event) => onChange(event.target.value === "" ? undefined : shape === "boolean" ? event.target.value === "true" : event.target.value)}
      />
    );
  }
  if (shape === "number")
    return (
      <TextField
        {...field}
        error={error}
        type="number"
        min={schema.minimum}
        max={schema.maximum}
        step={schema.type === "number" ? "any" : 1}
        placeholder={isRequired ? undefined : t.unset}
        value={typeof value === "number" ? value : ""}
        onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.valueAsNumber)}
      />
    );
  const text = typeof value === "string" ? value : "";
  const wrong = text && complaint(schema, text);
  const why = error ?? (wrong ? t.mustBe(wrong) : undefined);
  const change = (next: string): void => onChange(next === "" && !isRequired ? undefined : next);
  if ((schema.maxLength ?? 0) > 200) return <TextArea {...field} error={why} rows={2} value={text} maxLength={schema.maxLength} onChange={(event) => change(event.target.value)} />;
  return <TextField {...field} error={why} value={text} maxLength={schema.maxLength} onChange={(event) => change(event.target.value)} />;
}

/** A value that no control fits, as JSON; taken when it can be read. */
function JsonControl({ value, onChange, label, hint, error, around, isBare = false }: ControlProps) {
  const t = useTexts("forms");
  const [text, setText] = useState(() => (value === undefined ? "" : JSON.stringify(value, null, 2)));
  const [isWrong, setWrong] = useState(false);
  return (
    <TextArea
      label={label}
      hint={hint}
      isBare={isBare}
      isMono
      disabled={around.isOff ?? false}
      error={error ?? (isWrong ? t.notJson : undefined)}
      value={text}
      spellCheck={false}
      onChange={(event) => {
        setText(event.target.value);
        try {
          onChange(event.target.value.trim() === "" ? undefined : JSON.parse(event.target.value));
          setWrong(false);
        } catch {
          setWrong(true);
        }
      }}
    />
  );
}
