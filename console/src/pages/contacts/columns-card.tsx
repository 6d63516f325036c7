import { useTexts } from "@/i18n";
import type { Sheet } from "@/lib/sheet";
import { SelectField } from "@/ui/field";
import { Card } from "@/ui/layout";
import { DATE_ORDERS, type DateOrder, FIELDS, IGNORE, NAME_PARTS, type Target, attributeOf, faultOf, samplesOf } from "./columns";

interface Columns {
  targets: Target[];
  dateOrder: DateOrder;
}

/** Every column of the file, an example of what is in it, and what it becomes. */
export function ColumnsCard({ sheet, columns, onChange }: { sheet: Sheet; columns: Columns; onChange: (columns: Columns) => void }) {
  const t = useTexts("contacts");
  const fault = faultOf(columns.targets);
  const hasDates = columns.targets.some((target) => target.startsWith("date:"));
  return (
    <Card title={t.columns} isFlush>
      <div role="region" aria-label={t.columns} tabIndex={0} className="max-h-96 overflow-auto">
        <table className="w-full text-[13px]">
          <thead className="sticky top-0 bg-surface text-left text-xs text-dim">
            <tr>
              <th className="px-4 py-2 font-medium">{t.column}</th>
              <th className="px-2 py-2 font-medium">{t.example}</th>
              <th className="px-4 py-2 font-medium">{t.becomes}</th>
            </tr>
          </thead>
          <tbody>
            {sheet.header.map((title, at) => (
              <tr key={at} className="border-t border-line">
                <td className="px-4 py-1.5 font-medium">{title || t.columnAt(at + 1)}</td>
                <td className="max-w-40 truncate px-2 py-1.5 text-dim">{samplesOf(sheet, at)[0] ?? ""}</td>
                <td className="px-4 py-1.5">
                  <SelectField
                    isBare
                    label={t.becomesOf(title || t.columnAt(at + 1))}
                    value={columns.targets[at] ?? IGNORE}
                    choices={choicesOf(t, title, at, columns.targets[at] ?? IGNORE)}
                    onChange={(event) => onChange({ ...columns, targets: columns.targets.with(at, event.target.value) })}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className="space-y-2 border-t border-line px-4 py-3 text-[13px]">
        {hasDates && (
          <SelectField label={t.dateOrder} hint={t.dateOrderHint} value={columns.dateOrder} choices={DATE_ORDERS.map((value) => ({ value, label: t.dateOrders[value] }))} onChange={(event) => onChange({ ...columns, dateOrder: event.target.value as DateOrder })} />
        )}
        {fault && (
          <p role="alert" className="font-medium text-bad">
            {fault.why === "twice" ? t.columnTwice(targetWords(t, fault.target)) : fault.why === "noPhone" ? t.noPhoneColumn : t.tooManyColumns}
          </p>
        )}
        {!fault && <p className="text-dim">{t.columnsLead}</p>}
      </div>
    </Card>
  );
}

type Texts = ReturnType<typeof useTexts<"contacts">>;

/** What a column becomes, in words. */
export function targetWords(t: Texts, target: Target): string {
  const [kind, name] = [target.slice(0, target.indexOf(":")), target.slice(target.indexOf(":") + 1)];
  if (kind === "attribute") return t.asAttribute(name);
  return kind === "date" ? t.asDate(name) : (t.targets[target] ?? target);
}

function choicesOf(t: Texts, title: string, at: number, chosen: Target): { value: string; label: string }[] {
  const name = attributeOf(title) || `column_${at + 1}`;
  const targets = [...FIELDS.slice(0, 2), ...NAME_PARTS, ...FIELDS.slice(2), `attribute:${name}`, `date:${name}`, ...(chosen === "attributes_json" ? [chosen] : []), IGNORE];
  return targets.map((value) => ({ value, label: targetWords(t, value) }));
}
