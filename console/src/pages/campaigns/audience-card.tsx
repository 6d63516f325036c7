import { useState } from "react";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { phoneColumn, readSheetOf } from "@/lib/sheet";
import { count } from "@/lib/format";
import { FileDrop } from "@/ui/file-drop";
import { SelectField, TextArea, TextField } from "@/ui/field";
import { type Audience, MOST_RECIPIENTS, countOf, variablesOf } from "./audience";

const KINDS = ["sheet", "tag", "pasted"] as const;
type Kind = (typeof KINDS)[number];
/** Far more than the recipients of one campaign need. */
const MOST_BYTES = 100_000_000;

/** Who gets it, in one of three ways. */
export function AudienceFields({ audience, onChange }: { audience: Audience | null; onChange: (audience: Audience | null) => void }) {
  const t = useTexts("campaigns");
  const [kind, setKind] = useState<Kind>(audience?.kind ?? "sheet");
  const mayTag = useCan("contacts:read");
  return (
    <div className="space-y-3">
      <div role="radiogroup" aria-label={t.audience} className="flex gap-1 rounded-control bg-sunken p-0.5">
        {KINDS.filter((each) => each !== "tag" || mayTag).map((each) => (
          <label key={each} className="flex h-8 flex-1 items-center justify-center rounded-[5px] px-2 text-center text-[13px] font-medium text-dim has-checked:bg-surface has-checked:text-ink has-checked:shadow-card has-focus-visible:outline-2 max-md:h-11">
            <input
              type="radio"
              name="audience-kind"
              className="sr-only"
              checked={kind === each}
              onChange={() => {
                setKind(each);
                onChange(null);
              }}
            />
            {t.audienceKinds[each]}
          </label>
        ))}
      </div>
      {kind === "sheet" && <SheetFields audience={audience?.kind === "sheet" ? audience : null} onChange={onChange} />}
      {kind === "tag" && <TextField label={t.tag} hint={t.tagHint} maxLength={60} autoComplete="off" value={audience?.kind === "tag" ? audience.tag : ""} onChange={(event) => onChange(event.target.value.trim() ? { kind: "tag", tag: event.target.value } : null)} />}
      {kind === "pasted" && (
        <TextArea
          isMono
          label={t.pasted}
          rows={6}
          placeholder={"+13175550100\n+13175550101"}
          hint={audience?.kind === "pasted" ? t.recipientsCount(countOf(audience)) : t.pastedHint}
          value={audience?.kind === "pasted" ? audience.text : ""}
          onChange={(event) => onChange(event.target.value.trim() ? { kind: "pasted", text: event.target.value } : null)}
        />
      )}
    </div>
  );
}

type SheetAudience = Extract<Audience, { kind: "sheet" }>;

function SheetFields({ audience, onChange }: { audience: SheetAudience | null; onChange: (audience: Audience | null) => void }) {
  const t = useTexts("campaigns");
  const [fault, setFault] = useState<string | null>(null);
  const read = async (file: File): Promise<void> => {
    const sheet = await readSheetOf(file, MOST_RECIPIENTS);
    const isUsable = sheet !== null && sheet.rows.length > 0;
    setFault(sheet === null ? t.tooManyRows(file.name, count(MOST_RECIPIENTS)) : isUsable ? null : t.noRows(file.name));
    onChange(isUsable ? { kind: "sheet", sheet, name: file.name, phoneAt: Math.max(0, phoneColumn(sheet)) } : null);
  };
  return (
    <div className="space-y-2">
      <FileDrop label={t.chooseFile} hint={audience ? `${audience.name} · ${t.rows(audience.sheet.rows.length)}` : t.fileHint} accept=".csv,.tsv,.txt,text/csv" mostBytes={MOST_BYTES} fault={fault} onFile={read} />
      {audience && (
        <>
          <SelectField label={t.numbersColumn} value={String(audience.phoneAt)} choices={audience.sheet.header.map((name, at) => ({ value: String(at), label: name || t.columnAt(at + 1) }))} onChange={(event) => onChange({ ...audience, phoneAt: Number(event.target.value) })} />
          <p className="text-[13px] text-dim">
            {t.recipientsCount(countOf(audience))}
            {variablesOf(audience).length > 0 && ` · ${t.asVariables(variablesOf(audience).map((each) => `{{${each}}}`).join(" "))}`}
          </p>
        </>
      )}
    </div>
  );
}

/** How far the adding is. */
export function Adding({ share }: { share: number }) {
  const t = useTexts("campaigns");
  return (
    <p role="status" className="text-[13px] text-dim">
      {t.adding(count(Math.round(share * 100)))}
    </p>
  );
}
