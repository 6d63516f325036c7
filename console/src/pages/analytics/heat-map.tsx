import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { count, weekday } from "@/lib/format";
import { Card } from "@/ui/layout";
import { HOURS, gridOf, levelOf } from "./heat";

/** A Monday of any week: names of weekdays come from it. */
const MONDAYS_WEEK = ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08", "2026-01-09", "2026-01-10", "2026-01-11"];
const COLOURS = ["bg-sunken", "bg-accent/20", "bg-accent/40", "bg-accent/60", "bg-accent/80", "bg-accent"];

/** The week's hours as a table whose cells are coloured; each says its number. */
export function HeatMap({ hours }: { hours: Schemas["HourFigures"][] }) {
  const t = useTexts("analytics");
  const grid = gridOf(hours);
  const most = Math.max(...grid.flat());
  return (
    <Card title={t.heat}>
      <p className="mb-3 text-[13px] text-dim">{t.heatLead}</p>
      <div role="region" aria-label={t.heat} tabIndex={0} data-quiet-focus className="relative overflow-x-auto">
        <table className="w-full min-w-120 table-fixed border-separate border-spacing-[3px] text-[11px] text-dim">
          <thead>
            <tr>
              <th scope="col" className="w-9 font-normal"><span className="sr-only">{t.day}</span></th>
              {HOURS.map((hour) => (
                <th key={hour} scope="col" className="font-normal">
                  {hour % 3 === 0 ? hour : <span className="sr-only">{hour}</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {grid.map((row, at) => {
              const day = MONDAYS_WEEK[at] ?? "";
              return (
                <tr key={day}>
                  <th scope="row" className="text-left font-normal">
                    {weekday(day, "short")}
                  </th>
                  {row.map((calls, hour) => (
                    <td key={hour} title={t.heatCell(weekday(day, "long"), `${hour}–${hour + 1}`, count(calls))} className={`h-5 rounded-[3px] ${COLOURS[levelOf(calls, most)]}`}>
                      <span className="sr-only">{calls}</span>
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p aria-hidden className="mt-2 flex items-center justify-end gap-1 text-[11px] text-dim">
        {t.less}
        {COLOURS.map((colour) => (
          <span key={colour} className={`size-3 rounded-[3px] ${colour}`} />
        ))}
        {t.more}
      </p>
    </Card>
  );
}
