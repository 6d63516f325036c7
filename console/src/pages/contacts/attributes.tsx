import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Badge, Card } from "@/ui/layout";
import { toast } from "@/ui/toast";
import type { ContactRow } from "./contact";
import { Leaving, usePatchContact } from "./fields";

export type Row = [name: string, value: string];

/** Attributes as rows: a string as it is, anything else as JSON. */
export function rowsOf(attributes: Record<string, unknown> | null): Row[] {
  return Object.entries(attributes ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
}

/** Back again; what was no string and is still JSON keeps its kind. Null when nothing is left. */
export function attributesOf(rows: readonly Row[], before: Record<string, unknown> | null): Record<string, unknown> | null {
  const named = rows.filter(([name]) => name.trim() !== "");
  if (named.length === 0) return null;
  return Object.fromEntries(named.map(([name, value]) => [name.trim(), parsed(value, before?.[name.trim()])]));
}

function parsed(value: string, before: unknown): unknown {
  if (before === undefined || typeof before === "string") return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

/** Whatever else the CRM or the team knows of a contact; agents see it. */
export function Attributes({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const [edited, setEdited] = useState<Row[] | null>(null);
  const [fault, setFault] = useState<string>();
  const save = usePatchContact(contact, (field, reason) => {
    if (!field.startsWith("attributes")) return false;
    setFault(reason);
    return true;
  });
  const source = contact.source.attributes_json;
  const rows = edited ?? rowsOf(contact.attributes_json);
  const set = (at: number, row: Row | null): void => setEdited(rows.flatMap((each, index) => (index === at ? (row ? [row] : []) : [each])));
  return (
    <Card
      title={
        <span className="flex items-center gap-2">
          {t.attributes} {source && <Badge>{t.saidBy(t.sources[source])}</Badge>}
        </span>
      }
      actions={
        <Button
          size="sm"
          needs="contacts:write"
          look={edited ? "primary" : "plain"}
          busy={save.isPending}
          off={edited ? null : t.nothingChanged}
          onClick={() =>
            save.mutate({ attributes_json: attributesOf(rows, contact.attributes_json) }, {
              onSuccess: () => {
                setEdited(null);
                setFault(undefined);
                toast.done(t.saved);
              },
            })
          }
        >
          {t.save}
        </Button>
      }
    >
      <div className="space-y-2">
        {rows.length === 0 && <p className="text-dim">{t.attributesLead}</p>}
        {rows.map(([name, value], at) => (
          <div key={at} className="flex gap-2">
            <div className="w-2/5">
              <TextField isBare label={t.attributeName} placeholder={t.attributeName} value={name} maxLength={60} onChange={(event) => set(at, [event.target.value, value])} />
            </div>
            <div className="min-w-0 flex-1">
              <TextField isBare label={t.attributeValue(name)} placeholder={t.value} value={value} maxLength={2000} onChange={(event) => set(at, [name, event.target.value])} />
            </div>
            <IconButton label={t.removeAttribute(name)} icon={Trash2} needs="contacts:write" onClick={() => set(at, null)} />
          </div>
        ))}
        {fault && (
          <p role="alert" className="text-xs font-medium text-bad">
            {fault}
          </p>
        )}
        <Button size="sm" icon={Plus} needs="contacts:write" onClick={() => setEdited([...rows, ["", ""]])}>
          {t.addAttribute}
        </Button>
      </div>
      <Leaving isDirty={edited !== null && !save.isPending} />
    </Card>
  );
}
