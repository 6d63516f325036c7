import { useState } from "react";
import { useTexts } from "@/i18n";
import { Card } from "@/ui/layout";
import { isUnder, stepsOf } from "@/ui/schema-form/path";
import { isField } from "../flow";
import { useEditing } from "./editing";
import { JsonPane } from "./json-pane";
import { SectionBody, sectionsOf } from "./sections";

type View = "form" | "both" | "json";

/** The form; its JSON beside it or alone, for who wants it. */
export default function Edit() {
  const [view, setView] = useState<View>("form");
  return (
    <form noValidate className="flex min-h-0 flex-1 flex-col gap-4" onSubmit={(event) => event.preventDefault()}>
      <Views view={view} onView={setView} />
      <OtherRefusals />
      <div className={`grid items-start gap-5 ${view === "both" ? "lg:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]" : view === "form" ? "lg:grid-cols-[11rem_minmax(0,44rem)]" : ""}`}>
        {view === "form" && <SectionLinks />}
        {view !== "json" && <Sections />}
        {view !== "form" && (
          <div className={view === "both" ? "sticky top-4 h-[calc(100dvh-9rem)] max-lg:static" : "h-[calc(100dvh-16rem)]"}>
            <JsonPane />
          </div>
        )}
      </div>
    </form>
  );
}

function Views({ view, onView }: { view: View; onView: (view: View) => void }) {
  const t = useTexts("agentForm");
  const labels: Record<View, string> = { form: t.asForm, both: t.both, json: t.asJson };
  return (
    <div role="group" aria-label={t.both} className="flex self-start rounded-control border border-line bg-surface p-0.5">
      {(["form", "both", "json"] as const).map((each) => (
        <button
          key={each}
          type="button"
          aria-pressed={each === view}
          className={`h-7 rounded-[5px] px-2.5 text-[13px] font-medium max-md:h-9 ${each === view ? "bg-accent-soft text-accent" : "text-dim hover:text-ink"} ${each === "both" ? "max-lg:hidden" : ""}`}
          onClick={() => onView(each)}
        >
          {labels[each]}
        </button>
      ))}
    </div>
  );
}

function Sections() {
  const t = useTexts("agentForm");
  const { draft } = useEditing();
  return (
    <div className="min-w-0 space-y-4">
      {sectionsOf(draft).map((name) => (
        <div key={name} id={`section-${name}`} className="scroll-mt-4">
          <Card title={t.sections[name]}>
            <SectionBody name={name} />
          </Card>
        </div>
      ))}
    </div>
  );
}

function SectionLinks() {
  const t = useTexts("agentForm");
  const { draft } = useEditing();
  return (
    <nav aria-label={t.sectionsLabel} className="sticky top-4 max-lg:hidden">
      <ul className="space-y-0.5">
        {sectionsOf(draft).map((name) => (
          <li key={name}>
            <button type="button" className="w-full rounded-control px-2.5 py-1 text-left text-dim hover:bg-hover hover:text-ink" onClick={() => document.getElementById(`section-${name}`)?.scrollIntoView()}>
              {t.sections[name]}
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Refusals of fields that no section shows now. */
function OtherRefusals() {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const others = errors.filter((each) => !isField(String(stepsOf(each.field)[0] ?? "")) || ["tools_json", "knowledge_ids", "booking_service_ids"].some((name) => isUnder(each.field, name)));
  if (others.length === 0) return null;
  return (
    <div role="alert" className="rounded-card border border-bad bg-bad-soft p-3 text-[13px]">
      <p className="font-medium text-bad">{t.others(others.length)}</p>
      <ul className="mt-1 list-disc pl-5">
        {others.map((each) => (
          <li key={each.field}>
            <code>{each.field}</code> {each.reason}
          </li>
        ))}
      </ul>
    </div>
  );
}

