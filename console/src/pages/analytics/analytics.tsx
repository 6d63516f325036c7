import { useSearch } from "@tanstack/react-router";
import { BarChart3, Download } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import type { Schemas } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { useZone } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { download } from "@/lib/csv";
import { change } from "@/lib/days";
import { clockTime, count, dayName, dayOf, percent } from "@/lib/format";
import { toPage } from "@/lib/links";
import { Button, ButtonLink } from "@/ui/button";
import { Figure, Figures, Trend } from "@/ui/figure";
import { Empty, Loaded, Page, Skeleton } from "@/ui/layout";
import { ChartCard } from "./chart-card";
import { Filters } from "./filters";
import { HeatMap } from "./heat-map";
import type { Series } from "./plot";
import { useFigures } from "./queries";
import { Shares } from "./shares";
import { callSheet } from "./sheet";
import { Views } from "./views";
import { type Window, before, windowOf } from "./window";

type Figured = Schemas["GetAnalytics"];

/** Calls over days: how many, of whom, when, and how well they went. */
export function Analytics() {
  const t = useTexts("analytics");
  const zone = useZone();
  const search = useSearch({ from: "/shell/analytics" });
  const [today] = useState(() => dayOf(new Date(), zone));
  const shown = windowOf(search, today);
  const query = useFigures(shown, search.agent);
  const figures = query.data;
  const nameOf = useAgentName();
  const save = useMemo(() => (): void => { if (figures) download(`calls-${figures.days[0]?.date ?? ""}-${figures.days.at(-1)?.date ?? ""}.csv`, callSheet(figures, nameOf)); }, [figures, nameOf]);
  const commands = useMemo<Command[]>(() => [{ id: "analytics export", label: t.export, keys: "e", run: save }], [t, save]);
  useCommands(commands);
  return (
    <Page
      title={t.title}
      lead={t.lead(dayName(shown.first, true), dayName(shown.last, true), zone)}
      actions={
        <Button icon={Download} off={figures ? null : t.emptyTitle} onClick={save}>
          {t.export}
        </Button>
      }
    >
      <div className="max-w-[84rem] space-y-4">
        <Views />
        <Filters to="/analytics" search={search} shown={shown} today={today} />
        <Loaded query={query} skeleton={<Skeleton lines={6} height="h-14" />}>
          {(data) =>
            data.totals.calls === 0 ? (
              <Empty icon={BarChart3} title={t.emptyTitle} action={<ButtonLink {...toPage("/agents")}>{t.toAgents}</ButtonLink>}>
                {t.emptyLead}
              </Empty>
            ) : (
              <Content figures={data} shown={shown} agent={search.agent} />
            )
          }
        </Loaded>
      </div>
    </Page>
  );
}

function useAgentName(): (id: string | null) => string {
  const t = useTexts("analytics");
  const agents = useAllFlows().data;
  return useCallback((id) => (id === null ? t.noAgent : (agents?.find((each) => each.id === id)?.name ?? t.goneAgent)), [agents, t]);
}

function Content({ figures, shown, agent }: { figures: Figured; shown: Window; agent: string | undefined }) {
  const t = useTexts("analytics");
  const nameOf = useAgentName();
  const total = figures.totals.calls;
  return (
    <>
      <Totals totals={figures.totals} shown={shown} agent={agent} />
      <Charts figures={figures} />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <HeatMap hours={figures.hours} />
        <Shares title={t.byAgent} total={total} shares={figures.flows.map((each) => ({ ...each, key: each.flow_id ?? "", name: nameOf(each.flow_id) }))} />
        <Shares title={t.byOutcome} total={total} shares={figures.outcomes.map((each) => ({ ...each, key: each.name ?? "", name: each.name ?? t.noOutcome }))} />
        {figures.tags.length > 0 && <Shares title={t.byTag} total={total} shares={figures.tags.map((each) => ({ ...each, key: each.name ?? "", name: each.name ?? "" }))} />}
        <Shares title={t.byStatus} total={total} shares={figures.statuses.map((each) => ({ ...each, key: each.name ?? "", name: t.statuses[each.name ?? ""] ?? each.name ?? "" }))} />
      </div>
    </>
  );
}

const seconds = (ms: number): string => count(Math.round(ms / 10) / 100);

function Totals({ totals, shown, agent }: { totals: Schemas["CallFigures"]; shown: Window; agent: string | undefined }) {
  const t = useTexts("analytics");
  const past = before(shown);
  const earlier = useFigures(past, agent).data?.totals;
  const than = t.than(dayName(past.first), dayName(past.last));
  const answeredShare = (of: Schemas["CallFigures"] | undefined): number | null => (of && of.calls ? of.answered / of.calls : null);
  const perCall = (of: Schemas["CallFigures"] | undefined): number | null => (of && of.answered ? of.interruptions / of.answered : null);
  const trend = (now: number | null, then: number | null | undefined, upIsGood: boolean | null = null) => <Trend share={change(now, then)} than={than} upIsGood={upIsGood} />;
  const wait = (name: string, p50: number | null, p95: number | null, then: number | null | undefined) => (
    <Figure name={name} value={p50 === null ? "–" : t.seconds(seconds(p50))} note={<>{p95 !== null && <span>{t.p95(t.seconds(seconds(p95)))}</span>}{trend(p50, then, false)}</>} />
  );
  return (
    <Figures label={t.title}>
      <Figure name={t.calls} value={count(totals.calls)} note={<><span>{`${t.inbound} ${count(totals.inbound)} · ${t.outbound} ${count(totals.outbound)}`}</span>{trend(totals.calls, earlier?.calls)}</>} />
      <Figure name={t.answered} value={totals.calls ? percent(totals.answered / totals.calls) : "–"} note={<><span>{t.connected(count(totals.answered))}</span>{trend(answeredShare(totals), answeredShare(earlier), true)}</>} />
      <Figure name={t.talkTime} value={totals.talk_seconds >= 36_000 ? t.hours(count(Math.round(totals.talk_seconds / 3600))) : clockTime(totals.talk_seconds)} note={trend(totals.talk_seconds, earlier?.talk_seconds)} />
      <Figure name={t.average} value={totals.average_seconds === null ? "–" : clockTime(totals.average_seconds)} note={trend(totals.average_seconds, earlier?.average_seconds)} />
      {wait(t.firstSound, totals.first_sound_p50_ms, totals.first_sound_p95_ms, earlier?.first_sound_p50_ms)}
      {wait(t.firstAnswer, totals.first_answer_p50_ms, totals.first_answer_p95_ms, earlier?.first_answer_p50_ms)}
      <Figure name={t.interruptions} value={count(totals.interruptions)} note={<><span>{totals.answered ? t.perCall(count(Math.round((totals.interruptions / totals.answered) * 10) / 10)) : ""}</span>{trend(perCall(totals), perCall(earlier), false)}</>} />
    </Figures>
  );
}

const whole = (value: number): string => (Number.isInteger(value) ? count(value, true) : "");

function Charts({ figures }: { figures: Figured }) {
  const t = useTexts("analytics");
  const days = useMemo(() => figures.days.map((each) => each.date), [figures]);
  const of = (pick: (figures: Schemas["CallFigures"]) => number | null): (number | null)[] => figures.days.map((each) => pick(each.figures));
  const calls = useMemo<Series[]>(
    () => [
      { label: t.inbound, colour: "accent", isFilled: true, values: of((each) => each.inbound) },
      { label: t.outbound, colour: "info", values: of((each) => each.outbound) },
      { label: t.answered, colour: "dim", values: of((each) => each.answered) },
    ],
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- `of` is of the figures
    [figures, t],
  );
  const waits = useMemo<Series[]>(
    () => [
      { label: t.firstSoundP50, colour: "accent", values: of((each) => each.first_sound_p50_ms) },
      { label: t.firstSoundP95, colour: "info", values: of((each) => each.first_sound_p95_ms) },
      { label: t.firstAnswerP95, colour: "dim", values: of((each) => each.first_answer_p95_ms) },
      { label: t.ours, colour: "warn", values: of((each) => each.ours_p95_ms) },
      { label: t.model, colour: "bad", values: of((each) => each.model_p95_ms) },
    ],
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- as above
    [figures, t],
  );
  const interruptions = useMemo<Series[]>(
    () => [{ label: t.interruptions, colour: "warn", isFilled: true, values: of((each) => each.interruptions) }],
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- as above
    [figures, t],
  );
  const asSeconds = useMemo(() => (value: number): string => t.seconds(seconds(value)), [t]);
  return (
    <>
      <ChartCard title={t.perDay} days={days} series={calls} format={whole} />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <ChartCard title={t.latency} lead={t.latencyLead} days={days} series={waits} format={asSeconds} />
        <ChartCard title={t.interruptionsPerDay} days={days} series={interruptions} format={whole} />
      </div>
    </>
  );
}
