import { Suspense, useMemo } from "react";
import { useTexts } from "@/i18n";
import { dayName } from "@/lib/format";
import { DataTable } from "@/ui/data-table";
import { Card } from "@/ui/layout";
import { part } from "@/ui/part";
import type { Series } from "./plot";

const Plot = part(() => import("./plot"));

/** A chart, and the same figures as a table for who can't see it or wants the numbers. */
export function ChartCard({ title, lead, days, series, format }: { title: string; lead?: string; days: string[]; series: Series[]; format: (value: number) => string }) {
  const t = useTexts("analytics");
  const rows = useMemo(
    () => days.map((day, at) => [dayName(day, true), ...series.map((each) => { const value = each.values[at]; return value == null ? "–" : format(value); })]).toReversed(),
    [days, series, format],
  );
  return (
    <Card title={title} isFlush>
      <div className="p-4 pb-2">
        {lead && <p className="mb-3 text-[13px] text-dim">{lead}</p>}
        <div className="min-h-62">
          <Suspense>
            <Plot label={title} days={days} series={series} format={format} />
          </Suspense>
        </div>
      </div>
      <details className="border-t border-line">
        <summary className="px-4 py-2 text-[13px] text-dim hover:text-ink">{t.table}</summary>
        <DataTable label={title} head={[t.day, ...series.map((each) => each.label)]} rows={rows} />
      </details>
    </Card>
  );
}
