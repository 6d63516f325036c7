import { useState } from "react";
import type { Schemas } from "@/api/client";
import { can, useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { clockTime, count, longDay, percent, weekday } from "@/lib/format";
import { toPage } from "@/lib/links";
import { ButtonLink } from "@/ui/button";
import { Figure, Figures, FiguresToCome } from "@/ui/figure";
import { Card, Loaded, Page, Skeleton } from "@/ui/layout";
import { Attention } from "./attention";
import { LiveCalls, RecentCalls } from "./calls";
import { useDashboard, useEightDays } from "./queries";
import { Start } from "./start";

/** What goes on, what waits for somebody, and how today compares. */
export function Home() {
  const t = useTexts("home");
  const me = useMe();
  const zone = useZone();
  const [opened] = useState(() => new Date());
  const board = useDashboard();
  const seesCalls = can(me, "calls:read");
  return (
    <Page title={t.title} lead={longDay(opened, zone)}>
      <div className="max-w-[84rem] space-y-4">
        {can(me, "analytics:read") && (
          <Loaded query={board} skeleton={<FiguresToCome count={5} />}>
            {(data) => (
              <>
                <Start board={data} />
                <Today today={data.today} week={data.week} />
              </>
            )}
          </Loaded>
        )}
        <div className="grid items-start gap-4 lg:grid-cols-[3fr_2fr]">
          <div className="min-w-0 space-y-4">
            {seesCalls && <LiveCalls />}
            {seesCalls && board.isLoading && <Card title={t.recent}><Skeleton lines={5} height="h-9" /></Card>}
            {seesCalls && board.data && <RecentCalls calls={board.data.recent_calls} />}
          </div>
          <div className="min-w-0 space-y-4">
            <Attention />
            {board.data && <Week days={board.data.days} />}
          </div>
        </div>
      </div>
    </Page>
  );
}

function Today({ today, week }: { today: Schemas["CallFigures"]; week: Schemas["CallFigures"] }) {
  const t = useTexts("home");
  const eight = useEightDays().data?.days;
  const [lastWeek, yesterday] = [eight?.[0], eight?.at(-2)];
  const seconds = (ms: number | null): string => (ms === null ? "–" : t.seconds(count(Math.round(ms / 10) / 100)));
  return (
    <Figures label={t.today}>
      <Figure
        name={t.calls}
        value={count(today.calls)}
        note={yesterday && lastWeek && t.before(count(yesterday.figures.calls), weekday(lastWeek.date, "short"), count(lastWeek.figures.calls))}
        link={toPage("/calls")}
      />
      <Figure name={t.answered} value={today.calls ? percent(today.answered / today.calls) : "–"} note={t.ofCalls(today.calls)} />
      <Figure name={t.talkTime} value={clockTime(today.talk_seconds)} note={yesterday && lastWeek && t.before(clockTime(yesterday.figures.talk_seconds), weekday(lastWeek.date, "short"), clockTime(lastWeek.figures.talk_seconds))} />
      <Figure name={t.average} value={week.average_seconds === null ? "–" : clockTime(week.average_seconds)} note={t.lastSeven} />
      <Figure name={t.firstSound} value={seconds(week.first_sound_p50_ms)} note={week.first_sound_p95_ms === null ? t.lastSeven : t.p95(seconds(week.first_sound_p95_ms))} link={toPage("/analytics")} />
    </Figures>
  );
}

/** Seven bars, each with its number; read out as a list. */
function Week({ days }: { days: Schemas["DayFigures"][] }) {
  const t = useTexts("home");
  const most = Math.max(1, ...days.map((day) => day.figures.calls));
  return (
    <Card
      title={t.week}
      actions={
        <ButtonLink {...toPage("/analytics")} size="sm" look="quiet">
          {t.analytics}
        </ButtonLink>
      }
    >
      <ul className="flex h-28 gap-2">
        {days.map((day) => (
          <li key={day.date} aria-label={t.dayCalls(weekday(day.date, "long"), day.figures.calls)} className="flex min-w-0 flex-1 flex-col items-center justify-end gap-1 text-xs text-dim">
            <span aria-hidden className="tabular">{count(day.figures.calls, true)}</span>
            <svg aria-hidden className="min-h-0 w-full flex-1" preserveAspectRatio="none" viewBox="0 0 10 100">
              <rect x={0} width={10} y={100 - Math.max(1.5, (day.figures.calls / most) * 100)} height={100} className={day.figures.calls ? "fill-accent" : "fill-line"} />
            </svg>
            <span aria-hidden>{weekday(day.date, "short")}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
