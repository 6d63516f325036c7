import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { type Schemas, api, data } from "@/api/client";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { clockTime, count, dayName, longDay, percent } from "@/lib/format";
import { wholePercents } from "@/lib/shares";
import { SelectField } from "@/ui/field";
import { Card, Empty, Loaded, Skeleton } from "@/ui/layout";
import { BarChart3 } from "lucide-react";

const route = getRouteApi("/shell/agents/$id");
const PERIODS = [7, 30, 90, 366];

type Figures = Schemas["GetAnalytics"];

/** What an agent's calls come to. */
export default function Metrics() {
  const t = useTexts("agents");
  const { id } = route.useParams();
  const days = route.useSearch({ select: (search) => (PERIODS.includes(search.days ?? 0) ? (search.days ?? 30) : 30) });
  const navigate = useNavigate();
  const query = useThing<Figures>(["analytics", id, days], (signal) => data(api.GET("/api/flows/{id}/metrics", { params: { path: { id }, query: { days } }, signal })));
  return (
    <div className="space-y-5">
      <div className="w-44 max-md:w-full">
        <SelectField
          label={t.metrics.period}
          isBare
          value={String(days)}
          choices={PERIODS.map((each) => ({ value: String(each), label: t.metrics.days(each) }))}
          onChange={(event) => void navigate({ to: "/agents/$id", params: { id }, search: { tab: "metrics", days: Number(event.target.value) }, replace: true })}
        />
      </div>
      <Loaded query={query} skeleton={<Skeleton lines={8} />}>
        {(figures) => (figures.totals.calls === 0 ? <Empty icon={BarChart3} title={t.metrics.none}>{t.metrics.noneLead}</Empty> : <Charts figures={figures} />)}
      </Loaded>
    </div>
  );
}

function Charts({ figures }: { figures: Figures }) {
  const t = useTexts("agents");
  const { totals } = figures;
  const ms = (value: number | null): string => (value === null ? "–" : t.metrics.ms(count(value)));
  const tiles: [string, string, string?][] = [
    [t.metrics.calls, count(totals.calls), t.metrics.ofThem(count(totals.inbound), count(totals.outbound))],
    [t.metrics.answered, percent(totals.answered / totals.calls)],
    [t.metrics.average, totals.average_seconds === null ? "–" : clockTime(totals.average_seconds), t.metrics.total(clockTime(totals.talk_seconds))],
    [t.metrics.firstSound, ms(totals.first_sound_p50_ms), t.metrics.p95(ms(totals.first_sound_p95_ms))],
    [t.metrics.firstAnswer, ms(totals.first_answer_p50_ms), t.metrics.p95(ms(totals.first_answer_p95_ms))],
    [t.metrics.interruptions, count(totals.interruptions)],
  ];
  return (
    <div className="space-y-5">
      <dl className="grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
        {tiles.map(([label, value, more]) => (
          <div key={label} className="rounded-card border border-line bg-surface px-4 py-3 shadow-card">
            <dt className="text-xs text-dim">{label}</dt>
            <dd className="text-xl font-semibold tabular">{value}</dd>
            <dd className="min-h-4 text-xs text-dim tabular">{more}</dd>
          </div>
        ))}
      </dl>
      <Card title={t.metrics.byDay}>
        <DayBars figures={figures} />
      </Card>
      <div className="grid gap-5 md:grid-cols-2">
        <Shares title={t.metrics.outcomes} rows={figures.outcomes} none={t.metrics.noOutcome} total={totals.calls} />
        <Shares title={t.metrics.statuses} rows={figures.statuses.map((each) => ({ ...each, name: t.metrics.callStatuses[each.name ?? ""] ?? each.name }))} none="–" total={totals.calls} />
      </div>
    </div>
  );
}

/** Bars for the days; their exact values stand in a table for readers. */
function DayBars({ figures }: { figures: Figures }) {
  const t = useTexts("agents");
  const most = Math.max(1, ...figures.days.map((each) => each.figures.calls));
  const width = 100 / figures.days.length;
  const [first, last] = [figures.days[0], figures.days.at(-1)];
  return (
    <figure>
      <svg viewBox="0 0 100 32" preserveAspectRatio="none" className="h-32 w-full" role="img" aria-label={t.metrics.byDayOf(count(most))}>
        {figures.days.map((each, at) => {
          const height = (each.figures.calls / most) * 31;
          const answered = (each.figures.answered / most) * 31;
          return (
            <g key={each.date}>
              <title>{`${longDay(`${each.date}T12:00:00Z`, "UTC")}: ${count(each.figures.calls)}`}</title>
              <rect x={at * width} y={0} width={width} height={32} fill="transparent" />
              <rect x={at * width + width * 0.15} y={32 - height} width={width * 0.7} height={height} fill="var(--color-line-strong)" />
              <rect x={at * width + width * 0.15} y={32 - answered} width={width * 0.7} height={answered} fill="var(--color-accent)" />
            </g>
          );
        })}
      </svg>
      <figcaption className="mt-1 flex justify-between text-xs text-dim tabular">
        <span>{first && dayName(first.date)}</span>
        <span>
          <span aria-hidden className="mr-1 inline-block size-2 rounded-sm bg-accent" />
          {t.metrics.answered}
          <span aria-hidden className="mr-1 ml-3 inline-block size-2 rounded-sm bg-line-strong" />
          {t.metrics.notAnswered}
        </span>
        <span>{last && dayName(last.date)}</span>
      </figcaption>
    </figure>
  );
}

function Shares({ title, rows, none, total }: { title: string; rows: Schemas["NamedFigures"][]; none: string; total: number }) {
  const percents = wholePercents(rows.map((row) => row.calls), total);
  return (
    <Card title={title}>
      <ul className="space-y-2">
        {rows.map((row, at) => (
          <li key={row.name ?? ""} className="grid grid-cols-[1fr_auto] gap-x-3">
            <span className="truncate">{row.name ?? none}</span>
            <span className="text-dim tabular">
              {count(row.calls)} · {percent((percents[at] ?? 0) / 100)}
            </span>
            <span aria-hidden className="col-span-full h-1.5 overflow-hidden rounded-full bg-sunken">
              <span className="block h-full rounded-full bg-accent" style={{ width: `${(row.calls / total) * 100}%` }} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
