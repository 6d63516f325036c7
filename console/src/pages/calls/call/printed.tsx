/** What of a call is on paper above its transcript: whose it was and when, and what was made of it. */
import type { ReactNode } from "react";
import { useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { fullTime } from "@/lib/format";
import type { CallDetail } from "../queries";
import { Outcome, Summary } from "./overview";

export function Printed({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const zone = useZone();
  const name = useMe().organization?.name;
  return (
    <section aria-label={t.onPaper} className="space-y-3 border-b border-line px-4 pb-3">
      <p>{[name, fullTime(call.created_at, zone)].filter(Boolean).join(" · ")}</p>
      {call.summary && (
        <Titled title={t.summary}>
          <Summary call={call} />
        </Titled>
      )}
      {(call.outcome !== null || call.outcome_label) && (
        <Titled title={t.outcome}>
          <Outcome call={call} />
        </Titled>
      )}
      {call.tags.length > 0 && (
        <Titled title={t.tags}>
          <p>{call.tags.join(", ")}</p>
        </Titled>
      )}
      {call.notes.length > 0 && (
        <Titled title={t.notes}>
          {call.notes.map((note) => (
            <p key={note.id} className="whitespace-pre-wrap">
              <span className="font-medium">{note.author}</span> <span className="text-dim">{fullTime(note.created_at, zone)}</span> {note.body}
            </p>
          ))}
        </Titled>
      )}
    </section>
  );
}

function Titled({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <h2 className="text-xs font-semibold text-dim">{title}</h2>
      {children}
    </div>
  );
}
