import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useAllFlows } from "@/api/flows";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { SelectField, TextField } from "@/ui/field";
import { type AnalyticsSearch, WINDOWS, type Window, isRight } from "./window";

/** The days; of calls, the agent too. */
export function Filters({ to: page, search, shown, today }: { to: "/analytics" | "/analytics/texts"; search: AnalyticsSearch; shown: Window; today: string }) {
  const t = useTexts("analytics");
  const navigate = useNavigate();
  const agents = useAllFlows().data ?? [];
  const agent = search.agent ? { agent: search.agent } : {};
  const isCustom = search.from !== undefined;
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
      <nav aria-label={t.windowsLabel} className="flex overflow-hidden rounded-control border border-line bg-surface">
        {(["week", "month", "quarter"] as const).map((each) => {
          const days = WINDOWS[each];
          const isActive = !isCustom && (search.days ?? WINDOWS.month) === days;
          return (
            <Link
              key={each}
              to={page}
              search={days === WINDOWS.month ? agent : { days, ...agent }}
              aria-current={isActive ? "page" : undefined}
              className={`flex h-9 items-center border-r border-line px-3 last:border-r-0 focus-visible:outline-offset-[-2px] max-md:h-11 ${isActive ? "bg-accent-soft font-medium text-accent" : "hover:bg-hover"}`}
            >
              {t.windows[each]}
            </Link>
          );
        })}
      </nav>
      <Custom key={`${shown.first} ${shown.last}`} shown={shown} today={today} onShow={(from, to) => void navigate({ to: page, search: { from, to, ...agent } })} />
      {page === "/analytics" && (
        <div className="w-48 max-md:w-full">
          <SelectField
            isBare
            label={t.agent}
            value={search.agent ?? ""}
            choices={[{ value: "", label: t.allAgents }, ...agents.map((each) => ({ value: each.id, label: each.name })), ...(search.agent && !agents.some((each) => each.id === search.agent) ? [{ value: search.agent, label: t.goneAgent }] : [])]}
            onChange={(event) => {
              const { agent: _, ...others } = search;
              void navigate({ to: page, search: event.target.value ? { ...others, agent: event.target.value } : others });
            }}
          />
        </div>
      )}
    </div>
  );
}

function Custom({ shown, today, onShow }: { shown: Window; today: string; onShow: (from: string, to: string) => void }) {
  const t = useTexts("analytics");
  const [first, setFirst] = useState(shown.first);
  const [last, setLast] = useState(shown.last);
  const isFaulty = !first || !last || !isRight(first, last);
  const isChanged = first !== shown.first || last !== shown.last;
  return (
    <form
      role="search"
      aria-label={t.custom}
      className="flex items-center gap-1.5 max-md:w-full max-md:flex-wrap"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isFaulty && isChanged) onShow(first, last);
      }}
    >
      <div className="max-md:min-w-38 max-md:flex-1">
        <TextField isBare label={t.from} type="date" max={today} value={first} onChange={(event) => setFirst(event.target.value)} />
      </div>
      <span aria-hidden className="text-dim">–</span>
      <div className="max-md:min-w-38 max-md:flex-1">
        <TextField isBare label={t.to} type="date" max={today} value={last} onChange={(event) => setLast(event.target.value)} />
      </div>
      <Button type="submit" off={isFaulty ? t.badDays : isChanged ? null : t.custom}>
        {t.show}
      </Button>
    </form>
  );
}
