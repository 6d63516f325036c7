import { Link, useSearch } from "@tanstack/react-router";
import { useTexts } from "@/i18n";
import type { AnalyticsSearch } from "./window";

/** Calls or texts, of the same days. */
export function Views() {
  const t = useTexts("analytics");
  const { agent: _, ...days } = useSearch({ strict: false }) as AnalyticsSearch;
  return (
    <nav aria-label={t.views} className="flex gap-4 border-b border-line">
      {([["/analytics", t.calls], ["/analytics/texts", t.texts]] as const).map(([to, name]) => (
        <Link key={to} to={to} search={days} activeOptions={{ exact: true, includeSearch: false }} className="-mb-px border-b-2 border-transparent px-1 py-2 text-dim hover:text-ink" activeProps={{ className: "border-accent! text-ink! font-medium", "aria-current": "page" }}>
          {name}
        </Link>
      ))}
    </nav>
  );
}
