import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, Receipt } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { download, toCsv } from "@/lib/csv";
import { addDays, daysIn, isDay } from "@/lib/days";
import { count, dayName, dayOf } from "@/lib/format";
import { Button } from "@/ui/button";
import { Figure, Figures } from "@/ui/figure";
import { SelectField, TextField } from "@/ui/field";
import { Card, Empty, Loaded, Time } from "@/ui/layout";
import { DataTable } from "@/ui/data-table";
import { amountIn, costText } from "./costs";
import { Quotas } from "./limits";
import { useNames, useUsage } from "./queries";
import { GROUPINGS } from "./route";

const MOST_DAYS = 366;
type Group = Schemas["UsageGroup"];

/** What was used and costs, by day, agent or number. */
export function Usage() {
  const t = useTexts("billing");
  const zone = useZone();
  const search = useSearch({ from: "/shell/billing" });
  const [today] = useState(() => dayOf(new Date(), zone));
  const to = search.to ?? today;
  const from = search.from ?? addDays(to, -29);
  const by = search.by ?? "day";
  const query = useUsage({ from, to, by });
  const names = useNames(by);
  const nameOf = (group: Group): string => {
    if (by === "day") return dayName(group.date ?? "", true);
    const id = by === "flow" ? group.flow_id : group.number_id;
    return id ? (names.get(id) ?? t.gone) : by === "flow" ? t.noFlow : t.noNumber;
  };
  return (
    <div className="max-w-5xl space-y-4">
      <p className="text-dim">{t.usageLead}</p>
      <Days key={`${from} ${to} ${by}`} from={from} to={to} by={by} today={today} />
      <Loaded query={query}>
        {(usage) => {
          const groups = usage.groups.filter((each) => by !== "day" || isUsed(each));
          return groups.length === 0 ? (
            <>
              <Empty icon={Receipt} title={t.nothing}>
                {t.nothingLead}
              </Empty>
              <Quotas quotas={usage.quotas} />
            </>
          ) : (
            <>
              <Totals usage={usage} />
              {by === "day" && <Chart groups={usage.groups} />}
              <Groups groups={by === "day" ? groups.toReversed() : groups} by={by} nameOf={nameOf} file={`usage-${from}-${to}-${by}.csv`} />
              <Lines lines={usage.totals.usage?.lines ?? []} />
              <Quotas quotas={usage.quotas} />
              <p className="text-xs text-dim">
                {t.counted} <Time at={usage.counted_until} />
              </p>
            </>
          );
        }}
      </Loaded>
    </div>
  );
}

function isUsed({ figures }: Group): boolean {
  return figures.calls > 0 || figures.messages_sent > 0 || figures.messages_received > 0 || (figures.usage?.lines.length ?? 0) > 0;
}

function Days({ from, to, by, today }: { from: string; to: string; by: string; today: string }) {
  const t = useTexts("billing");
  const navigate = useNavigate();
  const [fault, setFault] = useState<string>();
  return (
    <form
      role="search"
      className="flex flex-wrap items-end gap-x-3"
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        const [first, last, grouping] = [String(form.get("from")), String(form.get("to")), String(form.get("by"))];
        if (!isDay(first) || !isDay(last) || daysIn(first, last) < 1 || daysIn(first, last) > MOST_DAYS) return setFault(t.tooLong);
        void navigate({ to: "/billing", search: { tab: "usage", from: first, to: last, ...(grouping === "flow" || grouping === "number" ? { by: grouping } : {}) } });
      }}
    >
      <TextField label={t.from} type="date" name="from" defaultValue={from} max={today} required error={fault} />
      <TextField label={t.to} type="date" name="to" defaultValue={to} max={today} required />
      <SelectField label={t.by} name="by" defaultValue={by} choices={GROUPINGS.map((each) => ({ value: each, label: t.groupings[each] ?? each }))} />
      <span className="mb-5">
        <Button type="submit">{t.show}</Button>
      </span>
    </form>
  );
}

function Totals({ usage }: { usage: Schemas["GetUsage"] }) {
  const t = useTexts("billing");
  const { totals } = usage;
  return (
    <Figures label={t.usage}>
      <Figure name={t.total} value={costText(totals.usage?.costs)} note={totals.usage && !totals.usage.is_priced && t.unpriced} />
      <Figure name={t.calls} value={count(totals.calls)} />
      <Figure name={t.minutes} value={count(totals.call_minutes)} />
      <Figure name={t.sent} value={count(totals.messages_sent)} />
      <Figure name={t.received} value={count(totals.messages_received)} />
    </Figures>
  );
}

/** Bars of the first currency; the table below has every number. */
function Chart({ groups }: { groups: Group[] }) {
  const t = useTexts("billing");
  const currency = groups.flatMap((each) => each.figures.usage?.costs ?? []).find((each) => Number(each.amount) > 0)?.currency;
  if (!currency) return null;
  const amounts = groups.map((each) => amountIn(each.figures.usage?.costs, currency));
  const most = Math.max(...amounts);
  return (
    <Card title={`${t.byDay} (${currency})`}>
      <svg role="img" aria-label={t.byDay} viewBox={`0 0 ${groups.length} 100`} preserveAspectRatio="none" className="h-28 w-full">
        {groups.map((each, at) => (
          <rect key={each.date} x={at + 0.12} width={0.76} y={100 - ((amounts[at] ?? 0) / most) * 100} height={100} className="fill-accent">
            <title>{`${dayName(each.date ?? "")}: ${costText(each.figures.usage?.costs)}`}</title>
          </rect>
        ))}
      </svg>
      <div className="mt-1 flex justify-between text-xs text-dim">
        <span>{dayName(groups[0]?.date ?? "")}</span>
        <span>{dayName(groups.at(-1)?.date ?? "")}</span>
      </div>
    </Card>
  );
}

function Groups({ groups, by, nameOf, file }: { groups: Group[]; by: string; nameOf: (group: Group) => string; file: string }) {
  const t = useTexts("billing");
  const head = [t.groupings[by] ?? by, t.calls, t.minutes, t.sent, t.received, t.cost];
  const save = (): void => {
    const rows = groups.map((each) => [
      each.date ?? nameOf(each),
      each.figures.calls,
      each.figures.call_minutes,
      each.figures.messages_sent,
      each.figures.messages_received,
      (each.figures.usage?.costs ?? []).map((cost) => `${cost.amount} ${cost.currency}`).join(" + "),
    ]);
    download(file, toCsv(head, rows));
  };
  return (
    <Card
      title={t.groupings[by]}
      isFlush
      actions={
        <Button size="sm" look="quiet" icon={Download} onClick={save}>
          {t.export}
        </Button>
      }
    >
      <DataTable
        label={t.usage}
        head={head}
        rows={groups.map((each) => [nameOf(each), count(each.figures.calls), count(each.figures.call_minutes), count(each.figures.messages_sent), count(each.figures.messages_received), costText(each.figures.usage?.costs)])}
      />
    </Card>
  );
}

function Lines({ lines }: { lines: Schemas["UsageLine"][] }) {
  const t = useTexts("billing");
  if (lines.length === 0) return null;
  return (
    <Card title={t.details} isFlush>
      <DataTable
        label={t.details}
        head={[t.kind, t.quantity, t.basis, t.cost]}
        rows={lines.map((each) => [`${t.meters[each.meter] ?? each.meter}${each.item ? ` · ${each.item}` : ""}`, count(each.quantity), t.bases[each.basis] ?? each.basis, each.cost ? costText([each.cost]) : "–"])}
      />
    </Card>
  );
}
