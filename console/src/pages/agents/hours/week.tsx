/** A week that is dragged: a track for each day, a block for each span. By keyboard, blocks are moved and resized with the arrows. */
import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { useTexts } from "@/i18n";
import { dayTime } from "@/lib/format";
import { DAYS, DAY_MINUTES, type Day, STEP_MINUTES, type Span, type Week, inOrder, moved, overlapping, resized, snapped } from "./hours";

type Grip = "new" | "move" | "from" | "to";
interface Drag {
  day: Day;
  grip: Grip;
  /** Which span; -1 for a new one. */
  at: number;
  startMinute: number;
  span: Span;
  shown: Span;
}

export interface WeekTracksProps {
  week: Week;
  onChange: (day: Day, spans: Span[]) => void;
  chosen: Day;
  onChoose: (day: Day) => void;
  isOff: boolean;
}

export function WeekTracks({ week, onChange, chosen, onChoose, isOff }: WeekTracksProps) {
  const t = useTexts("agentForm");
  return (
    <div role="group" aria-label={t.hours.week} className="select-none max-md:hidden">
      <div aria-hidden className="mb-1 ml-24 flex justify-between text-[11px] text-dim tabular">
        {[0, 6, 12, 18, 24].map((hour) => (
          <span key={hour} className="w-0 -translate-x-2 whitespace-nowrap">
            {dayTime(hour * 60, true)}
          </span>
        ))}
      </div>
      {DAYS.map((day, at) => (
        <div key={day} className="flex items-center">
          <button
            type="button"
            aria-pressed={day === chosen}
            className={`w-24 shrink-0 rounded-control px-2 py-1 text-left ${day === chosen ? "bg-accent-soft font-medium text-accent" : "hover:bg-hover"}`}
            onClick={() => onChoose(day)}
          >
            {t.hours.days[day]}
          </button>
          <Track day={day} spans={week[day]} before={week[DAYS[(at + 6) % 7] ?? "sun"]} onChange={(spans) => onChange(day, spans)} onChoose={() => onChoose(day)} isOff={isOff} />
        </div>
      ))}
    </div>
  );
}

interface TrackProps {
  day: Day;
  spans: Span[];
  /** Those of the day before, which may reach into this one. */
  before: Span[];
  onChange: (spans: Span[]) => void;
  onChoose: () => void;
  isOff: boolean;
}

function Track({ day, spans, before, onChange, onChoose, isOff }: TrackProps) {
  const track = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<Drag | null>(null);
  const minuteAt = (event: PointerEvent): number => {
    const box = track.current?.getBoundingClientRect();
    return box ? ((event.clientX - box.left) / box.width) * DAY_MINUTES : 0;
  };
  const begin = (event: PointerEvent, grip: Grip, at: number): void => {
    if (isOff || event.button !== 0) return;
    event.stopPropagation();
    onChoose();
    const minute = snapped(minuteAt(event));
    const span = spans[at] ?? { from: Math.min(minute, DAY_MINUTES - STEP_MINUTES), to: Math.min(minute, DAY_MINUTES - STEP_MINUTES) + STEP_MINUTES };
    track.current?.setPointerCapture(event.pointerId);
    setDrag({ day, grip, at, startMinute: minute, span, shown: span });
  };
  const go = (event: PointerEvent): void => {
    if (!drag) return;
    const minute = snapped(minuteAt(event));
    setDrag({ ...drag, shown: dragged(drag, minute) });
  };
  const end = (): void => {
    if (!drag) return;
    const isClick = drag.grip === "new" && drag.shown.to - drag.shown.from <= STEP_MINUTES;
    const others = spans.filter((_, at) => at !== drag.at);
    if (!isClick && !(drag.shown.from === drag.span.from && drag.shown.to === drag.span.to && drag.grip !== "new")) onChange(inOrder([...others, drag.shown]));
    setDrag(null);
  };
  const shown = spans.map((span, at) => (drag?.at === at ? drag.shown : span));
  const overlaps = overlapping(shown);
  return (
    <div
      ref={track}
      className="relative my-0.5 h-8 flex-1 touch-none overflow-hidden rounded-control border border-line bg-sunken bg-[linear-gradient(90deg,var(--color-line)_1px,transparent_1px)] bg-[length:25%_100%]"
      onPointerDown={(event) => begin(event, "new", -1)}
      onPointerMove={go}
      onPointerUp={end}
      onPointerCancel={() => setDrag(null)}
    >
      {before
        .filter((each) => each.to > DAY_MINUTES)
        .map((each) => (
          <div key={each.from} aria-hidden className="absolute inset-y-0 left-0 border-r-2 border-dashed border-accent bg-accent-soft opacity-70" style={{ width: `${((each.to - DAY_MINUTES) / DAY_MINUTES) * 100}%` }} />
        ))}
      {shown.map((span, at) => (
        <Block key={at} day={day} span={span} isBad={overlaps.includes(at)} isOff={isOff} onGrip={(event, grip) => begin(event, grip, at)} onFocus={onChoose} onSpan={(next) => onChange(next ? spans.with(at, next) : spans.toSpliced(at, 1))} onLeave={() => onChange(inOrder(spans))} />
      ))}
      {drag?.grip === "new" && <div aria-hidden className="absolute inset-y-0.5 rounded-[5px] border border-accent bg-accent-soft" style={placed(drag.shown)} />}
    </div>
  );
}

function dragged(drag: Drag, minute: number): Span {
  const by = minute - drag.startMinute;
  if (drag.grip === "move") return moved(drag.span, by);
  if (drag.grip !== "new") return resized(drag.span, drag.grip, by);
  const [from, to] = minute < drag.startMinute ? [minute, drag.startMinute] : [drag.startMinute, minute];
  return { from: Math.min(from, DAY_MINUTES - STEP_MINUTES), to: Math.max(to, from + STEP_MINUTES) };
}

function placed(span: Span): React.CSSProperties {
  return { left: `${(span.from / DAY_MINUTES) * 100}%`, width: `${((Math.min(span.to, DAY_MINUTES) - span.from) / DAY_MINUTES) * 100}%` };
}

/** A block shorter than this has no place for its times; its name and the fields below have them. */
const LABELLED_MINUTES = 180;

/** A time in a block: `8 AM`, `8:30 AM`. */
function shortly(minutes: number): string {
  return dayTime(minutes, minutes % 60 === 0);
}

interface BlockProps {
  day: Day;
  span: Span;
  isBad: boolean;
  isOff: boolean;
  onGrip: (event: PointerEvent, grip: Grip) => void;
  onFocus: () => void;
  onSpan: (next: Span | null) => void;
  onLeave: () => void;
}

function Block({ day, span, isBad, isOff, onGrip, onFocus, onSpan, onLeave }: BlockProps) {
  const t = useTexts("agentForm");
  const pressed = (event: KeyboardEvent): void => {
    if (isOff) return;
    const by = { ArrowRight: STEP_MINUTES, ArrowLeft: -STEP_MINUTES }[event.key];
    if (by !== undefined) onSpan(event.shiftKey ? resized(span, "to", by) : moved(span, by));
    else if (event.key === "Delete" || event.key === "Backspace") onSpan(null);
    else return;
    event.preventDefault();
  };
  const name = t.hours.span(t.hours.days[day] ?? day, shortly(span.from), shortly(span.to) + (span.to > DAY_MINUTES ? ` (${t.hours.nextDay})` : ""));
  return (
    <button
      type="button"
      aria-label={name}
      title={`${name}. ${t.hours.spanKeys}`}
      className={`group absolute inset-y-0.5 overflow-hidden rounded-[5px] border text-[11px] font-medium whitespace-nowrap focus-visible:outline-offset-[-2px] ${isBad ? "border-bad bg-bad-soft text-bad" : "border-accent bg-accent-soft text-accent"}`}
      style={placed(span)}
      onFocus={onFocus}
      onKeyDown={pressed}
      onBlur={onLeave}
      onPointerDown={(event) => onGrip(event, "move")}
    >
      <span aria-hidden className="absolute inset-y-0 left-0 w-2 cursor-ew-resize" onPointerDown={(event) => onGrip(event, "from")} />
      <span aria-hidden className="pointer-events-none tabular">
        {span.to - span.from < LABELLED_MINUTES ? "" : `${shortly(span.from)}–${shortly(span.to)}`}
      </span>
      <span aria-hidden className="absolute inset-y-0 right-0 w-2 cursor-ew-resize" onPointerDown={(event) => onGrip(event, "to")} />
    </button>
  );
}
