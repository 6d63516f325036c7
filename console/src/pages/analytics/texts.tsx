import { Link, useSearch } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { useMemo, useState } from "react";
import type { Schemas } from "@/api/client";
import { useCan, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { download } from "@/lib/csv";
import { count, dayName, dayOf, percent } from "@/lib/format";
import { Button } from "@/ui/button";
import { Figure, Figures } from "@/ui/figure";
import { Card, Failure, Loaded, Page, Skeleton } from "@/ui/layout";
import { costText } from "@/pages/billing/costs";
import { useNames } from "@/pages/billing/queries";
import { ChartCard } from "./chart-card";
import { Filters } from "./filters";
import type { Series } from "./plot";
import { useTextFigures, useTextUsage } from "./queries";
import { textSheet } from "./sheet";
import { type CostGroup, type TextCosts, costGroups, textCostOf } from "./text-costs";
import { Views } from "./views";
import { type Window, windowOf } from "./window";

type Figured = Schemas["GetTextAnalytics"];

/** Texts over days: how many, from whom, what became of them, and who answered. */
export function TextAnalytics() {
  const t = useTexts("analytics");
  const zone = useZone();
  const search = useSearch({ from: "/shell/analytics/texts" });
  const [today] = useState(() => dayOf(new Date(), zone));
  const shown = windowOf(search, today);
  const query = useTextFigures(shown);
  const figures = query.data;
  const costs = useCosts(shown);
  return (
    <Page
      title={t.title}
      lead={t.textsLead(dayName(shown.first, true), dayName(shown.last, true), zone)}
      actions={
        <Button icon={Download} off={figures && !costs.isComing ? null : t.noTexts} onClick={() => figures && download(`texts-${shown.first}-${shown.last}.csv`, textSheet(figures, costs.costs))}>
          {t.export}
        </Button>
      }
    >
      <div className="max-w-[84rem] space-y-4">
        <Views />
        <Filters to="/analytics/texts" search={search} shown={shown} today={today} />
        <Loaded query={query} skeleton={<Skeleton lines={6} height="h-14" />}>
          {(data) => <Content figures={data} costs={costs.costs} />}
        </Loaded>
        {costs.error && <Failure error={costs.error} />}
        {costs.costs && <Costs costs={costs.costs} />}
      </div>
    </Page>
  );
}

/** What the texts of these days cost; nothing for one who may not see it. */
function useCosts(shown: Window): { costs: TextCosts | undefined; isComing: boolean; error: Error | null | undefined } {
  const t = useTexts("analytics");
  const maySee = useCan("usage:read");
  const { usage, error } = useTextUsage(shown);
  const numbers = useNames("number");
  const agents = useNames("flow");
  const costs = usage && {
    total: textCostOf(usage.totals),
    days: costGroups(usage.days, ({ date }) => dayName(date ?? "", true)),
    numbers: costGroups(usage.numbers, ({ number_id: id }) => (id ? (numbers.get(id) ?? t.goneNumber) : t.noNumber)),
    agents: costGroups(usage.agents, ({ flow_id: id }) => (id ? (agents.get(id) ?? t.goneAgent) : t.noAgent)),
  };
  return { costs, isComing: maySee && !costs && !error, error };
}

const whole = (value: number): string => (Number.isInteger(value) ? count(value, true) : "");

function Content({ figures, costs }: { figures: Figured; costs: TextCosts | undefined }) {
  const t = useTexts("analytics");
  const { totals, answered } = figures;
  const share = (part: number, of: number): string => (of ? percent(part / of) : "–");
  const days = useMemo(() => figures.days.map((each) => each.date), [figures]);
  const series = useMemo<Series[]>(() => {
    const of = (name: keyof Schemas["TextFigures"]): number[] => figures.days.map((each) => each.figures[name]);
    return [
      { label: t.incoming, colour: "accent", isFilled: true, values: of("incoming") },
      { label: t.outgoing, colour: "info", values: of("outgoing") },
      { label: t.delivered, colour: "dim", values: of("delivered") },
      { label: t.failed, colour: "bad", values: of("failed") },
    ];
  }, [figures, t]);
  const conversations = answered.people + answered.agents + answered.api + answered.nobody;
  return (
    <>
      <Figures label={t.texts}>
        <Figure name={t.incoming} value={count(totals.incoming)} note={t.segments(count(totals.incoming_segments))} />
        <Figure name={t.outgoing} value={count(totals.outgoing)} note={t.segments(count(totals.outgoing_segments))} />
        <Figure name={t.delivered} value={share(totals.delivered, totals.outgoing)} note={count(totals.delivered)} />
        <Figure name={t.failed} value={share(totals.failed, totals.outgoing)} note={count(totals.failed)} />
        {costs && <Figure name={t.cost} value={costText(costs.total.all)} note={costs.total.isPriced ? t.estimated : t.unpriced} />}
      </Figures>
      <ChartCard title={t.textsPerDay} days={days} series={series} format={whole} />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Table
          title={t.answeredBy}
          head={[t.conversations, t.share]}
          rows={(["people", "agents", "api", "nobody"] as const).map((each) => ({ key: each, name: t.answerers[each], cells: [count(answered[each]), share(answered[each], conversations)] }))}
        />
        <Table
          title={t.bySender}
          head={[t.outgoing, t.delivered, t.failed, t.segmentsName]}
          rows={figures.senders.map((each) => ({ key: each.sent_by, name: t.senders[each.sent_by] ?? each.sent_by, cells: [count(each.outgoing), count(each.delivered), count(each.failed), count(each.outgoing_segments)] }))}
        />
      </div>
      {figures.campaigns.length > 0 && (
        <Table
          title={t.campaigns}
          head={[t.outgoing, t.delivered, t.failed, t.replies, t.optOuts]}
          rows={figures.campaigns.map((each) => ({
            key: each.campaign_id,
            name: (
              <Link to="/campaigns/$id" params={{ id: each.campaign_id }} className="text-accent hover:underline">
                {each.name}
              </Link>
            ),
            cells: [each.outgoing, each.delivered, each.failed, each.replies, each.opt_outs].map((figure) => count(figure)),
          }))}
        />
      )}
    </>
  );
}

/** By the price table, or the carrier's own price where it has told one: as on the page of usage, without what models used. */
function Costs({ costs }: { costs: TextCosts }) {
  const t = useTexts("analytics");
  const table = (title: string, groups: CostGroup[]) =>
    groups.length > 0 && <Table title={title} head={[t.outgoing, t.incoming, t.cost]} rows={groups.map((each) => ({ key: each.key, name: each.name, cells: [each.sent, each.received, each.all].map(costText) }))} />;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      {table(t.costByNumber, costs.numbers)}
      {table(t.costByAgent, costs.agents)}
      {table(t.costPerDay, costs.days.toReversed())}
    </div>
  );
}

function Table({ title, head, rows }: { title: string; head: string[]; rows: { key: string; name: React.ReactNode; cells: string[] }[] }) {
  return (
    <Card title={title} isFlush>
      <div role="region" aria-label={title} tabIndex={0} data-quiet-focus className="relative max-h-80 overflow-auto">
        <table className="w-full text-[13px]">
          <thead className="sticky top-0 bg-surface text-xs text-dim">
            <tr className="border-b border-line">
              <th scope="col" className="px-4 py-2 text-left font-medium">
                <span className="sr-only">{title}</span>
              </th>
              {head.map((name) => (
                <th key={name} scope="col" className="px-3 py-2 text-right font-medium last:pr-4">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, name, cells }) => (
              <tr key={key} className="border-b border-line last:border-b-0 hover:bg-hover">
                <th scope="row" className="px-4 py-2 text-left font-normal">
                  {name}
                </th>
                {cells.map((cell, at) => (
                  <td key={head[at]} className="tabular px-3 text-right last:pr-4">
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
