/** Seven days, each with its hours; by keyboard as by pointer, since they are time fields. */
import { Plus, X } from "lucide-react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { DAYS, type Day, type Fault, type Span, type Week, isOvernight, nextSpan } from "./hours";

const MOST_SPANS = 8;

export function WeekEditor({ week, faults, onChange }: { week: Week; faults: Partial<Record<Day, Fault>>; onChange: (week: Week) => void }) {
  const t = useTexts("settings");
  const set = (day: Day, spans: Span[]): void => onChange({ ...week, [day]: spans });
  return (
    <div>
      <ul className="divide-y divide-line border-y border-line">
        {DAYS.map((day) => (
          <DayRow key={day} day={day} spans={week[day]} fault={faults[day]} onChange={(spans) => set(day, spans)} />
        ))}
      </ul>
      <div className="mt-2">
        <Button size="sm" look="quiet" needs="team:write" onClick={() => onChange({ ...week, tue: week.mon, wed: week.mon, thu: week.mon, fri: week.mon })}>
          {t.copyToWeekdays}
        </Button>
      </div>
    </div>
  );
}

function DayRow({ day, spans, fault, onChange }: { day: Day; spans: Span[]; fault: Fault | undefined; onChange: (spans: Span[]) => void }) {
  const t = useTexts("settings");
  const name = t.days[day];
  const change = (at: number, next: Partial<Span>): void => onChange(spans.map((span, other) => (other === at ? { ...span, ...next } : span)));
  return (
    <li className="flex flex-wrap items-start gap-x-3 gap-y-1 py-2">
      <span className="w-24 pt-1.5 font-medium">{name}</span>
      <div className="min-w-0 flex-1 space-y-1.5">
        {spans.length === 0 && <p className="pt-1.5 text-dim">{t.closed}</p>}
        {spans.map((span, at) => (
          <div key={at} className="flex flex-wrap items-center gap-1.5">
            <TimeInput label={t.opens(name)} value={span.opens} isBad={Boolean(fault)} onChange={(opens) => change(at, { opens })} />
            <span aria-hidden className="text-dim">–</span>
            <TimeInput label={t.closes(name)} value={span.closes} isBad={Boolean(fault)} onChange={(closes) => change(at, { closes })} />
            {isOvernight(span) && <span className="text-xs text-dim">{t.overMidnight}</span>}
            <IconButton size="sm" icon={X} label={t.removeSpan(name)} needs="team:write" onClick={() => onChange(spans.filter((_, other) => other !== at))} />
          </div>
        ))}
        {fault && (
          <p role="alert" className="text-xs font-medium text-bad">
            {t.faults[fault]}
          </p>
        )}
      </div>
      {spans.length < MOST_SPANS && <IconButton size="sm" icon={Plus} label={t.addSpan(name)} needs="team:write" onClick={() => onChange([...spans, nextSpan(spans)])} />}
    </li>
  );
}

function TimeInput({ label, value, isBad, onChange }: { label: string; value: string; isBad: boolean; onChange: (value: string) => void }) {
  return (
    <input
      type="time"
      aria-label={label}
      aria-invalid={isBad || undefined}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      className="tabular h-8 rounded-control border border-line-strong bg-surface px-2 hover:border-dim aria-invalid:border-bad disabled:bg-sunken disabled:text-dim md:w-30 max-md:h-10 max-md:text-base"
    />
  );
}
