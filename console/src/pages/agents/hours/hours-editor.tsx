import { Plus, X } from "lucide-react";
import { Suspense, useState } from "react";
import type { FieldError } from "@/api/client";
import { useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { fullTime, shortTime, zoneName } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { Badge } from "@/ui/layout";
import { part } from "@/ui/part";
import { reasonAt } from "@/ui/schema-form/path";
import { withMember } from "@/ui/schema-form/schema";
import { ZoneField } from "@/ui/zone-field";
import type { Draft } from "../flow";
import { DAYS, DAY_MINUTES, type Day, type Span, type Week, clockOf, inOrder, isDay, nextSpan, overlapping, overlapsOf, typed, usualWeek, weekOf, weeklyOf } from "./hours";
import { type Preview, useHoursPreview } from "./preview";
import { WeekTracks } from "./week";

const TheirHours = part(() => import("./their-hours"));

type Value = Draft["business_hours_json"];
const FIELD = "business_hours_json";

export interface HoursEditorProps {
  value: Value;
  onChange: (next: Value) => void;
  errors: readonly FieldError[];
  isOff: boolean;
}

/** Business hours: a week, days on which it is closed, and what that means now. */
export function HoursEditor({ value, onChange, errors, isOff }: HoursEditorProps) {
  const t = useTexts("agentForm");
  const [chosen, setChosen] = useState<Day>("mon");
  const preview = useHoursPreview(value);
  const zone = useZone();
  if (value === null)
    return (
      <div className="space-y-3">
        <div className="flex flex-wrap items-center gap-3">
          <p className="min-w-0 flex-1 text-dim">{t.hours.always}</p>
          {!isOff && <Button onClick={() => onChange({ weekly: weeklyOf(usualWeek()) })}>{t.hours.add}</Button>}
        </div>
        <Suspense>
          <TheirHours preview={preview} />
        </Suspense>
      </div>
    );
  const week = weekOf(value);
  const overlaps = overlapsOf(value).map((field) => ({ field, reason: t.hours.overlap }));
  const known = [...errors.filter((each) => !overlaps.some((one) => one.field === each.field)), ...overlaps];
  const all = [...known, ...preview.errors.filter((each) => !known.some((one) => one.field === each.field))];
  const set = (name: string, next: unknown): void => onChange(withMember({ ...value }, name, next) as Value);
  const setDay = (day: Day, spans: Span[]): void => set("weekly", weeklyOf({ ...week, [day]: spans }));
  return (
    <div className="space-y-4">
      <Now preview={preview} />
      <WeekTracks week={week} onChange={setDay} chosen={chosen} onChoose={setChosen} isOff={isOff} />
      {!isOff && <p className="text-xs text-dim max-md:hidden">{t.hours.dragHint}</p>}
      <div className="space-y-3 max-md:hidden">
        {DAYS.filter((day) => day === chosen || overlapping(week[day]).length > 0).map((day) => (
          <DayTimes key={day} day={day} week={week} onChange={setDay} errors={all} isOff={isOff} />
        ))}
      </div>
      <div className="space-y-3 md:hidden">
        {DAYS.map((day) => (
          <DayTimes key={day} day={day} week={week} onChange={setDay} errors={all} isOff={isOff} />
        ))}
      </div>
      {week.mon.length > 0 && !isOff && (
        <Button size="sm" onClick={() => set("weekly", weeklyOf({ ...week, tue: week.mon, wed: week.mon, thu: week.mon, fri: week.mon }))}>
          {t.hours.copyDown}
        </Button>
      )}
      <Refusals errors={all} />
      <Holidays list={Array.isArray(value.holidays) ? value.holidays.filter(isDay) : []} onChange={(list) => set("holidays", list.length > 0 ? list : undefined)} isOff={isOff} />
      <div className="grid gap-x-4 sm:grid-cols-2">
        <ZoneField
          label={t.hours.zone}
          hint={t.hours.zoneHint}
          placeholder={zone}
          error={reasonAt(all, `${FIELD}.time_zone`)}
          value={typeof value.time_zone === "string" ? value.time_zone : ""}
          disabled={isOff}
          onChange={(next) => set("time_zone", next || undefined)}
        />
      </div>
      {!isOff && (
        <Button size="sm" look="quiet" icon={X} onClick={() => onChange(null)}>
          {t.hours.remove}
        </Button>
      )}
    </div>
  );
}

export function Now({ preview }: { preview: Preview }) {
  const t = useTexts("agentForm");
  const shown = preview.data;
  return (
    <p aria-live="polite" className="flex h-6 items-center gap-2 text-[13px]">
      {shown && (
        <>
          <Badge tone={shown.is_open ? "good" : "warn"}>{shown.is_open ? t.hours.openNow : t.hours.closedNow}</Badge>
          {shown.next_change_at ? (
            <span>
              {shown.is_open ? t.hours.closesAt : t.hours.opensAt}{" "}
              <time dateTime={shown.next_change_at} title={fullTime(shown.next_change_at, shown.time_zone)} className="font-medium tabular">
                {shortTime(shown.next_change_at, shown.time_zone)}
              </time>{" "}
              <span className="text-dim">{zoneName(shown.time_zone, new Date(shown.next_change_at))}</span>
            </span>
          ) : (
            <span className="text-dim">{t.hours.never}</span>
          )}
        </>
      )}
    </p>
  );
}

/** A day's spans, typed. */
function DayTimes({ day, week, onChange, errors, isOff }: { day: Day; week: Week; onChange: (day: Day, spans: Span[]) => void; errors: readonly FieldError[]; isOff: boolean }) {
  const t = useTexts("agentForm");
  const spans = week[day];
  const name = t.hours.days[day] ?? day;
  const next = nextSpan(spans);
  return (
    <div className="flex flex-wrap items-start gap-x-4 gap-y-2">
      <p className="w-22 py-1.5 font-medium">{name}</p>
      <ul className="min-w-0 flex-1 space-y-1.5">
        {spans.length === 0 && <li className="py-1.5 text-dim">{t.hours.closed}</li>}
        {spans.map((span, at) => (
          <li key={at}>
            <SpanTimes
              day={name}
              span={span}
              isOff={isOff}
              error={reasonAt(errors, `${FIELD}.weekly.${day}[${at}]`) ?? reasonAt(errors, `${FIELD}.weekly.${day}[${at}][0]`) ?? reasonAt(errors, `${FIELD}.weekly.${day}[${at}][1]`)}
              onChange={(changed) => onChange(day, changed ? spans.with(at, changed) : spans.toSpliced(at, 1))}
              onLeave={() => onChange(day, inOrder(spans))}
            />
          </li>
        ))}
      </ul>
      {!isOff && next && <IconButton icon={Plus} label={t.hours.addSpan(name)} onClick={() => onChange(day, inOrder([...spans, next]))} />}
    </div>
  );
}

const TIME = "h-9 rounded-control border border-line-strong bg-surface px-2 tabular hover:border-dim aria-invalid:border-bad max-md:h-11 disabled:bg-sunken";

function SpanTimes({ day, span, error, onChange, onLeave, isOff }: { day: string; span: Span; error: string | undefined; onChange: (next: Span | null) => void; onLeave: () => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const opens = clockOf(span.from);
  const closes = clockOf(span.to).replace("24:00", "00:00");
  const take = (from: string, to: string): void => {
    const next = typed(from, to);
    if (next) onChange(next);
  };
  return (
    <>
      <span className="flex flex-wrap items-center gap-2">
        <input type="time" aria-label={t.hours.opens(day)} aria-invalid={error ? true : undefined} disabled={isOff} className={TIME} value={opens} onChange={(event) => take(event.target.value, closes)} onBlur={onLeave} />
        <span aria-hidden>–</span>
        <input type="time" aria-label={t.hours.closes(day)} aria-invalid={error ? true : undefined} disabled={isOff} className={TIME} value={closes} onChange={(event) => take(opens, event.target.value)} onBlur={onLeave} />
        {span.to > DAY_MINUTES && <Badge tone="info">{t.hours.nextDay}</Badge>}
        {!isOff && <IconButton icon={X} label={t.hours.removeSpan(t.hours.span(day, opens, closes))} onClick={() => onChange(null)} />}
      </span>
      {error && (
        <span role="alert" className="text-xs font-medium text-bad">
          {error}
        </span>
      )}
    </>
  );
}

/** What was refused of the week as a whole. */
function Refusals({ errors }: { errors: readonly FieldError[] }) {
  const { days } = useTexts("agentForm").hours;
  const day = (field: string): string => days[/\.weekly\.(\w+)$/.exec(field)?.[1] ?? ""] ?? "";
  const whole = errors.filter((each) => [FIELD, `${FIELD}.weekly`].includes(each.field) || new RegExp(`^${FIELD}\\.(weekly\\.\\w+|holidays.*)$`).test(each.field));
  if (whole.length === 0) return null;
  return (
    <ul role="alert" className="text-xs font-medium text-bad">
      {whole.map((each) => (
        <li key={each.field}>
          {day(each.field) && `${day(each.field)}: `}
          {each.reason}
        </li>
      ))}
    </ul>
  );
}

function Holidays({ list, onChange, isOff }: { list: string[]; onChange: (next: string[]) => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const [day, setDay] = useState("");
  const add = (): void => {
    if (!isDay(day)) return;
    onChange([...new Set([...list, day])].toSorted());
    setDay("");
  };
  return (
    <fieldset>
      <legend className="mb-1 text-[13px] font-medium">{t.hours.holidays}</legend>
      <p className="mb-2 text-xs text-dim">{t.hours.holidaysHint}</p>
      <div className="flex flex-wrap items-center gap-2">
        {list.map((each) => (
          <span key={each} className="inline-flex h-9 items-center gap-1 rounded-control border border-line bg-sunken pl-2.5 tabular">
            {each}
            {!isOff && <IconButton size="sm" icon={X} label={t.hours.removeHoliday(each)} onClick={() => onChange(list.filter((one) => one !== each))} />}
          </span>
        ))}
        {!isOff && (
          <>
            <input type="date" aria-label={t.hours.addHoliday} className={TIME} value={day} onChange={(event) => setDay(event.target.value)} />
            <Button icon={Plus} onClick={add}>
              {t.hours.addHoliday}
            </Button>
          </>
        )}
      </div>
    </fieldset>
  );
}
