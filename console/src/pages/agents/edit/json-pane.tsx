import { useEffect, useMemo, useState } from "react";
import { useTexts } from "@/i18n";
import { JsonEditor } from "@/ui/code/lazy";
import { type Draft, changesOf, readDraft, textOf } from "../flow";
import { useEditing } from "./editing";
import { useIsOff } from "./plain-fields";

/** The whole agent as JSON; what is typed is the form's at once, as soon as it can be read. */
export function JsonPane() {
  const t = useTexts("agentForm");
  const { draft, replace, errors } = useEditing();
  const isOff = useIsOff();
  const [text, setText] = useState(() => textOf(draft));
  const read = useMemo(() => readDraft(text), [text]);
  const [shown, setShown] = useState<Draft>(draft);
  // What the form changed is written here; what was typed here comes back the same, and is left as it was typed.
  useEffect(() => {
    if (draft === shown) return;
    setShown(draft);
    const now = readDraft(text);
    if (!("draft" in now) || Object.keys(changesOf(now.draft, draft)).length > 0) setText(textOf(draft));
  }, [draft, shown, text]);
  const fault = "draft" in read ? null : read.fault === "syntax" ? t.jsonFault.syntax(read.message) : read.fault === "object" ? t.jsonFault.object : t.jsonFault[read.fault](read.name);
  const faults = useMemo(() => (fault === null ? errors : [{ field: "draft" in read || !("name" in read) ? "" : read.name, reason: fault }]), [fault, errors, read]);
  return (
    <div className="flex h-full min-h-96 flex-col gap-2">
      <div className="min-h-0 flex-1">
        <JsonEditor
          value={text}
          label={t.jsonLabel}
          errors={faults}
          isReadOnly={isOff}
          onChange={(next) => {
            setText(next);
            const now = readDraft(next);
            if ("draft" in now) replace(now.draft);
          }}
        />
      </div>
      <p aria-live="polite" className="h-5 truncate text-xs font-medium text-bad" title={fault ?? undefined}>
        {fault && `${fault} ${t.jsonHeld}`}
      </p>
    </div>
  );
}
